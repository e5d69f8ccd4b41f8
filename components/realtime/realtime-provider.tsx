'use client';
import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useRef, useState } from 'react';
import { io, type Socket } from 'socket.io-client';
import { type ClientEvents, type Notice, type ServerEvents, SOCKET_PATH } from '../../server/realtime/contract.ts';
import { useTRPC } from '../api/trpc.ts';
import { sessionEventsKey } from './session-events-key.ts';
import { timelineMoved } from './timeline-version.ts';
import { afterNews, NO_TROUBLES, nextEnd, stillBelieved, type Troubles, withTrouble } from './troubles.ts';

export type AppSocket = Socket<ServerEvents, ClientEvents>;
export type Connection = 'connecting' | 'live' | 'reconnecting';

type Realtime = {
  /** Null until the page runs in a browser. */
  socket: AppSocket | null;
  connection: Connection;
};

const TroublesContext = createContext<Troubles>(NO_TROUBLES);
const RealtimeContext = createContext<Realtime>({ socket: null, connection: 'connecting' });

/** How often pages ask again while no socket tells them what changed. */
const POLL_MS = 4_000;
/** Notices within this time lead to one refetch. */
const COALESCE_MS = 120;

export function useRealtime(): Realtime {
  return useContext(RealtimeContext);
}

/** What sessions of the organization wait for, by session, while their workers cannot store anything. */
export function useTroubles(): Troubles {
  return useContext(TroublesContext);
}

/** `refetchInterval` for queries that notices keep fresh: polls only while the socket is down. */
export function usePolling(): number | false {
  return useRealtime().connection === 'live' ? false : POLL_MS;
}

/** Keeps one socket to the server for an organization's pages, and refetches what its notices say has changed. */
export function RealtimeProvider({ orgSlug, children }: { orgSlug: string; children: ReactNode }) {
  const [realtime, setRealtime] = useState<Realtime>({ socket: null, connection: 'connecting' });
  const [troubles, setTroubles] = useState(NO_TROUBLES);
  const refresh = useRefresh(orgSlug);

  useEffect(() => {
    const socket: AppSocket = io({ path: SOCKET_PATH, transports: ['websocket'], reconnectionDelayMax: 5_000 });
    const moveTo = (connection: Connection) => setRealtime({ socket, connection });
    moveTo('connecting');
    let wasLive = false;
    socket.on('connect', () => {
      socket.emit('subscribe', { orgSlug }, (reply) => {
        if (!reply.ok) return moveTo('reconnecting');
        moveTo('live');
        // What happened while nobody told us.
        if (wasLive) refresh('all');
        wasLive = true;
      });
    });
    socket.on('notice', (notice) => {
      refresh(notice);
      if (notice.kind === 'session') setTroubles((all) => afterNews(all, notice.sessionId));
    });
    socket.on('trouble', (trouble) => setTroubles((all) => withTrouble(all, trouble, Date.now())));
    socket.on('disconnect', () => moveTo('reconnecting'));
    socket.on('connect_error', () => moveTo('reconnecting'));
    return () => {
      setTroubles(NO_TROUBLES);
      socket.disconnect();
    };
  }, [orgSlug, refresh]);

  useEffect(() => {
    const end = nextEnd(troubles);
    if (end === null) return;
    const timer = setTimeout(() => setTroubles((all) => stillBelieved(all, Date.now())), Math.max(0, end - Date.now()) + 50);
    return () => clearTimeout(timer);
  }, [troubles]);

  return (
    <RealtimeContext value={realtime}>
      <TroublesContext value={troubles}>{children}</TroublesContext>
    </RealtimeContext>
  );
}

function useRefresh(orgSlug: string): (notice: Notice | 'all') => void {
  const queryClient = useQueryClient();
  const trpc = useTRPC();
  const apply = (notices: (Notice | 'all')[]) => {
    if (notices.includes('all')) return void queryClient.invalidateQueries();
    const timelines = new Set<string>();
    const keys = new Map<string, readonly unknown[]>();
    const add = (queryKey: readonly unknown[]) => keys.set(JSON.stringify(queryKey), queryKey);
    const addSession = (sessionId: string) => {
      add(trpc.sessions.list.pathKey());
      add(trpc.sessions.get.queryKey({ org: orgSlug, sessionId }));
    };
    for (const notice of notices) {
      if (notice === 'all') continue;
      if (notice.kind === 'session') {
        addSession(notice.sessionId);
        timelineMoved(notice.sessionId);
        timelines.add(notice.sessionId);
      } else if (notice.kind === 'change') {
        add(trpc.changes.pathKey());
        add(trpc.repositories.get.pathKey());
        if (notice.sessionId) addSession(notice.sessionId);
      } else {
        add(trpc.repositories.pathKey());
      }
    }
    for (const queryKey of keys.values()) void queryClient.invalidateQueries({ queryKey });
    for (const sessionId of timelines) {
      const queryKey = sessionEventsKey(orgSlug, sessionId);
      void queryClient.invalidateQueries({ queryKey }, { cancelRefetch: false });
    }
  };
  const latest = useRef(apply);
  latest.current = apply;

  const [refresh] = useState(() => {
    let waiting: (Notice | 'all')[] = [];
    return (notice: Notice | 'all') => {
      waiting.push(notice);
      if (waiting.length > 1) return;
      setTimeout(() => {
        const notices = waiting;
        waiting = [];
        latest.current(notices);
      }, COALESCE_MS);
    };
  });
  return refresh;
}
