// The Vercel AI SDK with its provider for OpenAI, over Responses, which is what it takes where nothing is said.
import { createOpenAI } from "@ai-sdk/openai";
import { baseURL, key, model } from "./checks.mjs";
import { runWith } from "./ai_checks.mjs";

await runWith(createOpenAI({ baseURL, apiKey: key })(model));
