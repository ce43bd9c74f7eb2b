import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin, type ProxyOptions } from "vite";

// Two pages in one build: index.html is the Admin Panel, graphiql.html the page on the URL of the GraphQL API.
// The server gives them out (octomesh_graphql/api/pages.py) and knows nothing of what is in them.
export default defineConfig({
  plugins: [react(), compressed()],
  build: {
    outDir: "../octomesh_graphql/_web",
    emptyOutDir: true,
    target: "es2023",
    // A data: URL would need a hole in the Content-Security-Policy of the panel.
    assetsInlineLimit: 0,
    // Whose code is in the bundles, and under which licence. Goes into the wheel with them.
    license: { fileName: "third-party-notices.md" },
    // GraphiQL's editor is one piece of 2 MB, loaded on its own page only.
    chunkSizeWarningLimit: 3_000,
    // Every browser that runs ES2023 preloads modules by itself.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { panel: "index.html", graphiql: "graphiql.html" },
      onwarn(warning, warn) {
        // GraphiQL's "use no memo" is for a compiler that we do not run.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
  server: { proxy: { "^/tenants/[^/]+/graphql": developing() } },
});

// Once here instead of for every visitor: the server hands out x.js.gz to whoever takes it.
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    writeBundle({ dir = "." }, bundle) {
      for (const name of Object.keys(bundle).filter((name) => /\.(js|css|svg)$/.test(name))) {
        writeFileSync(join(dir, `${name}.gz`), gzipSync(readFileSync(join(dir, name)), { level: 9 }));
      }
    },
  };
}

// `npm run dev` beside `make run`: pages from here, answers from there.
function developing(): ProxyOptions {
  return {
    target: process.env.OCTOMESH_SERVER_URL ?? "http://127.0.0.1:8000",
    ws: true,
    changeOrigin: true,
    // The server refuses WebSockets from other origins, and this page comes from one.
    rewriteWsOrigin: true,
    bypass: (request) => (request.headers.accept?.includes("text/html") ? "/graphiql.html" : undefined),
  };
}
