// Writes src/gql/ from ../schema.graphql and the documents in src/**, each a graphql(`...`) call. `npm run generate`.
// The result is committed, so that building needs none of this; tests/test_web.py says when it is stale.
import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../schema.graphql",
  documents: ["src/**/*.{ts,tsx}", "!src/gql/**"],
  ignoreNoDocuments: true,
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        // The states are words, not objects: `state === "ONLINE"`, and nothing of it is left in the bundle.
        enumsAsTypes: true,
        strictScalars: true,
        scalars: { OctoObjectId: "string", DateTime: "string", JSON: "unknown" },
        useTypeImports: true,
      },
    },
  },
};

export default config;
