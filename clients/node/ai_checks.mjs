// The Vercel AI SDK's own functions, over whichever of its providers.
import { generateObject, generateText, embedMany, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { assert, run, sentence } from "./checks.mjs";

export async function runWith(chatModel, embedder) {
  const prompt = "What does a penstock do?";
  await run({
    async "generate text"() {
      const { text, usage } = await generateText({ model: chatModel, prompt, maxRetries: 0 });
      assert.equal(text, sentence);
      assert.ok(usage.totalTokens > 0);
    },
    async "stream text"() {
      let text = "";
      for await (const part of streamText({ model: chatModel, prompt, maxRetries: 0 }).textStream) text += part;
      assert.equal(text, sentence);
    },
    async "a loop over tools"() {
      const weather = tool({
        description: "The weather in a city.", inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => `rain in ${city}`,
      });
      const { text } = await generateText({ model: chatModel, prompt, tools: { weather }, stopWhen: stepCountIs(3), maxRetries: 0 });
      assert.equal(text, "The tools say: rain in Oslo");
    },
    async "generate an object"() {
      const schema = z.object({ city: z.string(), inhabitants: z.number() });
      const { object } = await generateObject({ model: chatModel, prompt, schema, maxRetries: 0 });
      assert.deepEqual(object, { city: "Oslo", inhabitants: 7.5 });
    },
    async "embed many"() {
      const { embeddings } = await embedMany({ model: embedder, values: ["one", "two"], maxRetries: 0 });
      assert.deepEqual(embeddings.map((each) => each.length), [8, 8]);
    },
  });
}
