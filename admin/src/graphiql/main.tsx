// GraphiQL for one tenant. The server gives this page to browsers on the URL of the GraphQL API.
import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "./graphiql.css";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import { createRoot } from "react-dom/client";
import { authorization } from "../panel/api/token";
import { examples } from "./examples";
import { storageOf } from "./storage";
import { ENDPOINT, type Found, lookAround, TENANT } from "./tenant";

// Subscriptions go over a WebSocket of their own, whose connection_init carries what is in the Headers tab.
const fetcher = createGraphiQLFetcher({
  url: ENDPOINT,
  subscriptionUrl: new URL(ENDPOINT, location.href.replace(/^http/, "ws")).href,
  enableIncrementalDelivery: false,
});

function Page({ pool, noTenant }: Found) {
  if (noTenant) return <NoTenant message={noTenant} />;
  const headers = authorization();
  return (
    <GraphiQL
      fetcher={fetcher}
      storage={storageOf(TENANT)}
      defaultTabs={examples(pool)}
      defaultHeaders={Object.keys(headers).length ? JSON.stringify(headers, null, 2) : undefined}
      defaultEditorToolsVisibility="variables"
    >
      <GraphiQL.Logo>
        <a className="to-panel" href={`/tenants/${encodeURIComponent(TENANT)}/`}>
          <span>Pools of</span> {TENANT}
        </a>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

function NoTenant({ message }: { message: string }) {
  return (
    <main className="no-tenant">
      <h1>There is no GraphQL API here</h1>
      <p>{message}</p>
      <p>
        Check the address, or <a href="/?choose">choose a tenant</a>. Whoever runs this server can create one:{" "}
        <code>octomesh tenants create {TENANT}</code>
      </p>
    </main>
  );
}

document.title = `GraphiQL – ${TENANT} – OctoMesh`;
createRoot(document.getElementById("root")!).render(<Page {...await lookAround()} />);
