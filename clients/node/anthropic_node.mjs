// anthropic for Node.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { assert, atLength, key, long, model, origin, picture, pictureSaid, refused, run, sentence, slowly, twice, twiceSaid } from "./checks.mjs";

const client = new Anthropic({ baseURL: origin, apiKey: key, maxRetries: 0 });
const said = (content) => [{ role: "user", content }];
const messages = said("What does a penstock do?");
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } }];
const ask = (more) => client.messages.create({ model, max_tokens: 200, messages, ...more });

await run({
  async message() {
    const answer = await ask();
    assert.equal(answer.content[0].text, sentence);
    assert.ok(answer.usage.output_tokens > 0);
  },
  async stream() {
    assert.equal(await client.messages.stream({ model, max_tokens: 200, messages }).finalText(), sentence);
  },
  async "three turns of tools"() {
    const turns = said(twice);
    let answer;
    for (let turn = 0; turn < 3; turn++) {
      answer = await client.messages.stream({ model, max_tokens: 200, messages: turns, tools }).finalMessage();
      const results = answer.content.filter((block) => block.type === "tool_use")
        .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: `rain in ${block.input.city}` }));
      turns.push({ role: "assistant", content: answer.content }, { role: "user", content: results });
    }
    assert.equal(answer.content[0].text, twiceSaid);
  },
  async "structured output"() {
    const place = z.object({ city: z.string(), inhabitants: z.number() });
    const answer = await client.messages.parse({ model, max_tokens: 200, messages, output_config: { format: zodOutputFormat(place) } });
    assert.deepEqual(answer.parsed_output, { city: "Oslo", inhabitants: 7.5 });
  },
  async picture() {
    const source = { type: "base64", media_type: "image/png", data: picture };
    const answer = await ask({ messages: said([{ type: "image", source }, { type: "text", text: "What is it?" }]) });
    assert.equal(answer.content[0].text, pictureSaid);
  },
  async "long answer"() {
    assert.equal(await client.messages.stream({ model, max_tokens: 20000, messages: said(atLength) }).finalText(), long);
  },
  async tokens() {
    assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 0);
  },
  async models() {
    const names = [];
    for await (const each of client.models.list()) names.push(each.id);
    assert.ok(names.includes(model));
  },
  async "errors as the SDK's own"() {
    await assert.rejects(client.withOptions({ apiKey: "sk-wrong" }).messages.create({ model, max_tokens: 9, messages }), Anthropic.AuthenticationError);
    await assert.rejects(ask({ model: "none" }), Anthropic.NotFoundError);
    await assert.rejects(ask({ max_tokens: 0 }), Anthropic.BadRequestError);
  },
  async "refusal of the provider"() {
    await assert.rejects(ask({ messages: said("fail with 400") }), (error) => error instanceof Anthropic.BadRequestError && refused.test(error.message));
  },
  async "error within a stream"() {
    await assert.rejects(client.messages.stream({ model, max_tokens: 200, messages: said("fail midway") }).finalText(), Anthropic.APIError);
  },
  async "leaving a stream"() {
    const stream = await ask({ messages: said(slowly), stream: true });
    for await (const event of stream) if (event.type === "content_block_delta") break;
    assert.equal(stream.controller.signal.aborted, true);
  },
});
