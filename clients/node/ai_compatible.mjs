// The Vercel AI SDK with its provider for servers that are like OpenAI's.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { baseURL, embeddingModel, key, model } from "./checks.mjs";
import { runWith } from "./ai_checks.mjs";

const ours = createOpenAICompatible({ name: "penstock", baseURL, apiKey: key, includeUsage: true, supportsStructuredOutputs: true });
await runWith(ours.chatModel(model), ours.textEmbeddingModel(embeddingModel));
