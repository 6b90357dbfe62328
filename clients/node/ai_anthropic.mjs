// The Vercel AI SDK with its provider for Anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { baseURL, key, model } from "./checks.mjs";
import { runWith } from "./ai_checks.mjs";

await runWith(createAnthropic({ baseURL, apiKey: key })(model));
