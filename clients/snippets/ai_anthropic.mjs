import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText } from "ai";

const penstock = createAnthropic({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.PENSTOCK_KEY });
const { text } = await generateText({ model: penstock("penstock-demo"), prompt: "What does a penstock do?" });
console.log(text);
