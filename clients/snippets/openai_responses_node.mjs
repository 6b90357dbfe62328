import OpenAI from "openai";

const client = new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: process.env.PENSTOCK_KEY });
const response = await client.responses.create({ model: "penstock-demo", input: "What does a penstock do?" });
console.log(response.output_text);
