/** What random tests draw from: the same for the same `SEED`, which a test that fails prints. */
export const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** Runs what draws from the seed; where it fails, the error says how to draw the same again. */
export async function tellingSeed(run: () => Promise<void>): Promise<void> {
  await run().catch((error: unknown) => {
    throw new Error(`Failed with SEED=${SEED}`, { cause: error });
  });
}
