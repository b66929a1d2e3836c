/** The version of the database's objects that this package sets up: how many steps lead there. */
export const SCHEMA_VERSION = 4;

/** The first version that keeps all that this package writes; on those since it runs as it is, if slower. */
export const WRITABLE_VERSION = 3;
