/** The version of the database's objects that this package needs: how many steps lead there. */
export const SCHEMA_VERSION = 3;
