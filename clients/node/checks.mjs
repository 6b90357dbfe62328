// What the scripts of this folder share: where the stack is, and how each check is told, one JSON line each.
import assert from "node:assert/strict";

export { assert };
export const { PENSTOCK_BASE_URL: baseURL, PENSTOCK_KEY: key, PENSTOCK_SPENT_KEY: spentKey, PENSTOCK_MODEL: model,
  PENSTOCK_EMBEDDING_MODEL: embeddingModel, PENSTOCK_SENTENCE: sentence } = process.env;

export async function run(checks) {
  let failed = false;
  for (const [name, check] of Object.entries(checks)) {
    let error = "";
    try {
      await check();
    } catch (caught) {
      console.error(caught);
      error = String(caught?.message ?? caught).split("\n")[0].slice(0, 300);
      failed = true;
    }
    console.log(JSON.stringify({ check: name, error }));
  }
  process.exit(failed ? 1 : 0);
}
