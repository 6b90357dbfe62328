import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "http://127.0.0.1:8080", apiKey: process.env.PENSTOCK_KEY });
const messages = [{ role: "user", content: "What does a penstock do?" }];
const message = await client.messages.create({ model: "penstock-demo", max_tokens: 200, messages });
console.log(message.content[0].text);
