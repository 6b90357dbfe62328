import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.PENSTOCK_KEY });
const messages = [{ role: "user", content: "What does a penstock do?" }];
const answer = await client.chat.completions.create({ model: "penstock-demo", messages });
console.log(answer.choices[0].message.content);
