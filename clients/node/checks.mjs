// What the scripts of this folder share: where the stack is, and how each check is told, one JSON line each.
import assert from "node:assert/strict";

export { assert };
export const { PENSTOCK_BASE_URL: baseURL, PENSTOCK_KEY: key, PENSTOCK_SPENT_KEY: spentKey, PENSTOCK_MODEL: model,
  PENSTOCK_REASONING_MODEL: reasoningModel, PENSTOCK_EMBEDDING_MODEL: embeddingModel, PENSTOCK_SENTENCE: sentence,
  PENSTOCK_PICTURE_SAID: pictureSaid } = process.env;
export const origin = baseURL.replace(/\/v1$/, "");
export const long = Array(Number(process.env.PENSTOCK_LONG_SENTENCES)).fill(sentence).join(" ");
export const twice = "How is the weather? Ask twice.", twiceSaid = "The tools say: rain in Oslo; rain in Oslo";
export const atLength = "Tell it at length.", slowly = "Tell it slowly.", refused = /The provider will not have this/;
export const picture = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mM4YWODFTEMLQkAZZlQAS/gME0AAAAASUVORK5CYII=";

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
