// openai for Node.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { assert, atLength, baseURL, embeddingModel, key, long, model, picture, pictureSaid, refused, run, sentence, slowly, spentKey, twice, twiceSaid } from "./checks.mjs";

const client = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 });
const messages = [{ role: "user", content: "What does a penstock do?" }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "weather", parameters } }];

await run({
  async chat() {
    const answer = await client.chat.completions.create({ model, messages });
    assert.equal(answer.choices[0].message.content, sentence);
  },
  async "stream with usage"() {
    let text = "", usage;
    const stream = await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, sentence);
    assert.ok(usage.total_tokens > 0);
  },
  async "tools and their results"() {
    const first = await client.chat.completions.create({ model, messages, tools });
    const [call] = first.choices[0].message.tool_calls;
    assert.equal(call.function.arguments, '{"city": "Oslo"}');
    const results = [first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "rain" }];
    const last = await client.chat.completions.create({ model, messages: [...messages, ...results], tools });
    assert.equal(last.choices[0].message.content, "The tools say: rain");
  },
  async "three turns of tools by the SDK's own loop"() {
    const runner = client.chat.completions.runTools({
      model, messages: [{ role: "user", content: twice }], tools: [{ type: "function", function: { name: "weather", parse: JSON.parse, parameters, function: ({ city }) => `rain in ${city}` } }],
    });
    assert.equal(await runner.finalContent(), twiceSaid);
  },
  async "structured output"() {
    const place = z.object({ city: z.string(), inhabitants: z.number() });
    const answer = await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(place, "place") });
    assert.deepEqual(answer.choices[0].message.parsed, { city: "Oslo", inhabitants: 7.5 });
  },
  async picture() {
    const content = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${picture}` } }];
    const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content }] });
    assert.equal(answer.choices[0].message.content, pictureSaid);
  },
  async "long answer"() {
    const stream = client.chat.completions.stream({ model, messages: [{ role: "user", content: atLength }] });
    assert.equal(await stream.finalContent(), long);
  },
  async "refusal of the provider"() {
    const asked = client.chat.completions.create({ model, messages: [{ role: "user", content: "fail with 400" }] });
    await assert.rejects(asked, (error) => error instanceof OpenAI.BadRequestError && refused.test(error.message));
  },
  async "error within a stream"() {
    await assert.rejects(async () => {
      for await (const _ of await client.chat.completions.create({ model, messages: [{ role: "user", content: "fail midway" }], stream: true }));
    }, OpenAI.APIError);
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: embeddingModel, input: ["one", "two"] });
    assert.deepEqual(answer.data.map((each) => each.embedding.length), [8, 8]);
  },
  async models() {
    const names = [];
    for await (const each of client.models.list()) names.push(each.id);
    assert.ok(names.includes(model));
  },
  async "errors as the SDK's own"() {
    await assert.rejects(client.withOptions({ apiKey: "sk-wrong" }).models.list(), OpenAI.AuthenticationError);
    await assert.rejects(client.chat.completions.create({ model: "none", messages }), OpenAI.NotFoundError);
    await assert.rejects(client.chat.completions.create({ model, messages, temperature: 9 }), OpenAI.BadRequestError);
  },
  async "rate limit"() {
    const spent = client.withOptions({ apiKey: spentKey });
    await assert.rejects(async () => {
      for (const _ of "12") await spent.chat.completions.create({ model, messages });
    }, OpenAI.RateLimitError);
  },
  async "leaving a stream"() {
    const stream = await client.chat.completions.create({ model, messages: [{ role: "user", content: slowly }], stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    assert.equal(stream.controller.signal.aborted, true);
  },
});
