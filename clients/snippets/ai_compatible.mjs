import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText } from "ai";

const penstock = createOpenAICompatible({
  name: "penstock", baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.PENSTOCK_KEY,
  includeUsage: true, supportsStructuredOutputs: true,
});
const { text } = await generateText({ model: penstock("penstock-demo"), prompt: "What does a penstock do?" });
console.log(text);
