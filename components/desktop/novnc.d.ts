/** The part of noVNC's API that is used here (its package brings no types). */
declare module '@novnc/novnc' {
  /** What RFB reads and writes through; a WebSocket has this form. */
  export type RfbChannel = {
    binaryType: string;
    protocol: string;
    readyState: 'connecting' | 'open' | 'closing' | 'closed';
    send: (data: Uint8Array | ArrayBuffer) => void;
    close: () => void;
    onopen: (() => void) | null;
    onmessage: ((event: { data: ArrayBuffer }) => void) | null;
    onerror: ((event: unknown) => void) | null;
    onclose: ((event: { code: number; reason: string }) => void) | null;
  };

  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: RfbChannel, options?: { shared?: boolean });
    viewOnly: boolean;
    scaleViewport: boolean;
    focusOnClick: boolean;
    background: string;
    qualityLevel: number;
    compressionLevel: number;
    focus(): void;
    blur(): void;
    disconnect(): void;
    clipboardPasteFrom(text: string): void;
  }
}
