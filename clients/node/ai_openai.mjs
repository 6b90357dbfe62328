// The Vercel AI SDK with its provider for OpenAI, over chat completions.
import { createOpenAI } from "@ai-sdk/openai";
import { baseURL, embeddingModel, key, model } from "./checks.mjs";
import { runWith } from "./ai_checks.mjs";

const ours = createOpenAI({ baseURL, apiKey: key });
await runWith(ours.chat(model), ours.embedding(embeddingModel));
