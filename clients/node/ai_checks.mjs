// The Vercel AI SDK's own functions, over whichever of its providers.
import { generateObject, generateText, embedMany, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { assert, atLength, long, picture, pictureSaid, refused, run, sentence, slowly, twice, twiceSaid } from "./checks.mjs";

export async function runWith(chatModel, embedder) {
  const prompt = "What does a penstock do?";
  const common = { model: chatModel, maxRetries: 0, onError() {} };
  const checks = {
    async "generate text"() {
      const { text, usage } = await generateText({ ...common, prompt });
      assert.equal(text, sentence);
      assert.ok(usage.totalTokens > 0);
    },
    async "stream text"() {
      let text = "";
      for await (const part of streamText({ ...common, prompt }).textStream) text += part;
      assert.equal(text, sentence);
    },
    async "three turns of tools"() {
      const weather = tool({
        description: "The weather in a city.", inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => `rain in ${city}`,
      });
      const { text, steps } = await generateText({ ...common, prompt: twice, tools: { weather }, stopWhen: stepCountIs(5) });
      assert.equal(text, twiceSaid);
      assert.equal(steps.length, 3);
    },
    async "generate an object"() {
      const schema = z.object({ city: z.string(), inhabitants: z.number() });
      const { object } = await generateObject({ ...common, prompt, schema });
      assert.deepEqual(object, { city: "Oslo", inhabitants: 7.5 });
    },
    async picture() {
      const content = [{ type: "text", text: "What is it?" }, { type: "file", data: picture, mediaType: "image/png" }];
      const { text } = await generateText({ ...common, messages: [{ role: "user", content }] });
      assert.equal(text, pictureSaid);
    },
    async "long answer"() {
      let text = "";
      for await (const part of streamText({ ...common, prompt: atLength }).textStream) text += part;
      assert.equal(text, long);
    },
    async "refusal of the provider"() {
      await assert.rejects(generateText({ ...common, prompt: "fail with 400" }), (error) => error.statusCode === 400 && refused.test(error.message));
    },
    async "error within a stream"() {
      const kinds = [];
      for await (const part of streamText({ ...common, prompt: "fail midway" }).fullStream) kinds.push(part.type);
      assert.ok(kinds.includes("error"), kinds.slice(-3).join());
    },
    async "leaving a stream"() {
      const leaving = new AbortController();
      for await (const part of streamText({ ...common, prompt: slowly, abortSignal: leaving.signal }).fullStream)
        if (part.type === "text-delta") leaving.abort();
    },
  };
  if (embedder)
    checks["embed many"] = async () => {
      const { embeddings } = await embedMany({ model: embedder, values: ["one", "two"], maxRetries: 0 });
      assert.deepEqual(embeddings.map((each) => each.length), [8, 8]);
    };
  await run(checks);
}
