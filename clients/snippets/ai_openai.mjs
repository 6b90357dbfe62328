import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

const penstock = createOpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.PENSTOCK_KEY });
const { text } = await generateText({ model: penstock.chat("penstock-demo"), prompt: "What does a penstock do?" });
console.log(text);
