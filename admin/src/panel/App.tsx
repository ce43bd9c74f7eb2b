// The panel: which page the URL asks for, and who asks.
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { Announcer } from "./announcing";
import { Failure } from "./api/failure";
import { useStanding } from "./api/connection";
import { ViewerQuery } from "./api/operations";
import { Tenant, VisitContext, type Viewer } from "./api/tenant";
import { Notices } from "./noticing";
import { Overview } from "./overview/Overview";
import { PoolPage } from "./pool/PoolPage";
import { remember } from "./remembering";
import { useRoute } from "./routes";
import { Connected, ReadOnly } from "./shell/Connected";
import { Header } from "./shell/Header";
import { StartPage } from "./shell/StartPage";
import { LoginDialog, Nowhere, TroublePage } from "./shell/TroublePage";

const AGAIN_AFTER = 3_000;

export function App() {
  const route = useRoute();
  return (
    <>
      {route.view === "start" && <StartPage />}
      {route.view === "nowhere" && <Nowhere />}
      {"tenantId" in route && (
        <TenantPages key={route.tenantId} tenantId={route.tenantId} rtId={"rtId" in route ? route.rtId : null} />
      )}
      <Notices />
      <Announcer />
    </>
  );
}

function TenantPages({ tenantId, rtId }: { tenantId: string; rtId: string | null }) {
  // Another token is another visit: a new socket, and everything read anew.
  const [visits, setVisits] = useState(0);
  const again = useCallback(() => setVisits((count) => count + 1), []);
  return <TenantVisit key={visits} tenantId={tenantId} rtId={rtId} onAgain={again} />;
}

function TenantVisit({ tenantId, rtId, onAgain }: { tenantId: string; rtId: string | null; onAgain: () => void }) {
  const [tenant, setTenant] = useState<Tenant | null>(null);
  useEffect(() => {
    const opened = new Tenant(tenantId);
    setTenant(opened);
    return () => opened.close();
  }, [tenantId]);
  return tenant && <Visited tenant={tenant} rtId={rtId} onAgain={onAgain} />;
}

function Visited({ tenant, rtId, onAgain }: { tenant: Tenant; rtId: string | null; onAgain: () => void }) {
  const { viewer, failure, askAgain } = useViewer(tenant);
  const { trouble } = useStanding(tenant.connection);
  const visit = useMemo(() => viewer && { tenant, viewer }, [tenant, viewer]);
  // A login that ends in the middle of something costs nothing of what was typed: the page stays beneath a dialog.
  const loggedOut = viewer && trouble?.code === "UNAUTHENTICATED" ? trouble : null;
  const fatal =
    (loggedOut ? null : trouble) ??
    (viewer && !viewer.mayRead ? new Failure("FORBIDDEN", "You may not read this tenant.") : null);

  return (
    <>
      <Header tenantId={tenant.id} open={!fatal} onOverview={rtId === null} viewer={viewer} onAgain={onAgain}>
        {!fatal && <Connected tenant={tenant} failed={!viewer && failure !== null} />}
      </Header>
      {fatal ? (
        <TroublePage failure={fatal} tenantId={tenant.id} viewer={viewer} onAgain={onAgain} />
      ) : (
        <>
          {viewer && <ReadOnly viewer={viewer} />}
          <Main page={rtId}>
            {visit && (
              <VisitContext value={visit}>
                {rtId === null ? <Overview /> : <PoolPage key={rtId} rtId={rtId} />}
              </VisitContext>
            )}
          </Main>
        </>
      )}
      {loggedOut && (
        <LoginDialog
          failure={loggedOut}
          onKept={() => {
            tenant.renew();
            askAgain();
          }}
        />
      )}
    </>
  );
}

/** Takes the focus when another page has come, as a browser does: else it would stay on a link that is gone. */
function Main({ page, children }: { page: string | null; children: ReactNode }) {
  const main = useRef<HTMLElement>(null);
  const before = useRef(page);
  useEffect(() => {
    if (before.current !== page) main.current?.focus({ preventScroll: true });
    before.current = page;
  }, [page]);
  return (
    <main id="main" tabIndex={-1} ref={main}>
      {children}
    </main>
  );
}

/** Who asks. Asked again until the server answers. */
function useViewer(tenant: Tenant): { viewer: Viewer | null; failure: Failure | null; askAgain: () => void } {
  const [asked, setAsked] = useState(0);
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  useEffect(() => {
    let timer: number | undefined;
    let over = false;
    async function ask() {
      try {
        const answer = await tenant.ask(ViewerQuery, {});
        if (over) return;
        setViewer(answer.viewer);
        remember(tenant.id, answer.viewer.tenantName);
      } catch (error) {
        if (over) return;
        setFailure(error instanceof Failure ? error : null);
        timer = window.setTimeout(ask, AGAIN_AFTER);
      }
    }
    void ask();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tenant, asked]);
  return { viewer, failure, askAgain: () => setAsked(asked + 1) };
}
