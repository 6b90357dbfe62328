// openai for Node, by Responses.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { assert, atLength, baseURL, key, long, model, picture, pictureSaid, refused, run, sentence, slowly, twice, twiceSaid } from "./checks.mjs";

const client = new OpenAI({ baseURL, apiKey: key, maxRetries: 0 });
const input = "What does a penstock do?";
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const tools = [{ type: "function", name: "weather", parameters, strict: true }];

await run({
  async response() {
    const answer = await client.responses.create({ model, input, store: false });
    assert.equal(answer.output_text, sentence);
    assert.ok(answer.usage.total_tokens > 0);
  },
  async stream() {
    const answer = await client.responses.stream({ model, input }).finalResponse();
    assert.equal(answer.output_text, sentence);
  },
  async "three turns of tools"() {
    const given = [{ role: "user", content: twice }];
    let answer;
    for (let turn = 0; turn < 3; turn++) {
      answer = await client.responses.create({ model, input: given, tools, store: false });
      given.push(...answer.output);
      for (const item of answer.output)
        if (item.type === "function_call") given.push({ type: "function_call_output", call_id: item.call_id, output: "rain in Oslo" });
    }
    assert.equal(answer.output_text, twiceSaid);
  },
  async "structured output"() {
    const place = z.object({ city: z.string(), inhabitants: z.number() });
    const answer = await client.responses.parse({ model, input, text: { format: zodTextFormat(place, "place") } });
    assert.deepEqual(answer.output_parsed, { city: "Oslo", inhabitants: 7.5 });
  },
  async picture() {
    const content = [{ type: "input_text", text: "What is it?" }, { type: "input_image", image_url: `data:image/png;base64,${picture}`, detail: "auto" }];
    const answer = await client.responses.create({ model, input: [{ role: "user", content }] });
    assert.equal(answer.output_text, pictureSaid);
  },
  async "long answer"() {
    const answer = await client.responses.stream({ model, input: atLength }).finalResponse();
    assert.equal(answer.output_text, long);
  },
  async "refusal of the provider"() {
    await assert.rejects(client.responses.create({ model, input: "fail with 400" }), (error) => error instanceof OpenAI.BadRequestError && refused.test(error.message));
  },
  async "error within a stream"() {
    const kinds = [];
    try {
      for await (const event of await client.responses.create({ model, input: "fail midway", stream: true })) kinds.push(event.type);
    } catch (error) {
      assert.ok(error instanceof OpenAI.APIError);
      return;
    }
    assert.ok(kinds.includes("response.failed"));
  },
  async "leaving a stream"() {
    const stream = await client.responses.create({ model, input: slowly, stream: true });
    for await (const event of stream) if (event.type === "response.output_text.delta") break;
    assert.equal(stream.controller.signal.aborted, true);
  },
});
