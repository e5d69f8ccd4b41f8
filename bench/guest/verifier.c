/*
 * The verifier inside a benchmarked guest: proves that an answer was made by this guest, now, and that its memory is whole.
 *
 *   verifier serve              the daemon; one request per connection, a line in, a line out
 *   verifier WORD...            sends the words to the daemon and prints its answer
 *
 *   renew            makes a new secret and tells it
 *   hash NONCE       HMAC-SHA256 of the nonce under the secret
 *   fresh NONCE      renew and hash in one, for a guest that has just booted: SECRET HASH
 *   random           32 bytes from the kernel
 *   fill MIB SEED    holds that much more memory, every page made from the seed and its number
 *   check            compares every held page with what it must be: PAGES MISMATCHES
 *   hold FILE PORT   opens and locks the file, listens on the port; both are held from now on
 *   tick FILE        appends the time by the guest's clock (ms since it booted) to the file every 5 ms; `tick -` stops
 *   work BLOCKS      hashes that many blocks of 64 bytes: MICROSECONDS it took by the guest's clock
 *
 * C, because it must not change what it measures: it starts in milliseconds under emulation where Node takes seconds, idles
 * without timers or a garbage collector, and adds 100 KB to a guest. It is linked statically, so it runs in any guest.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_PATH "/run/warren-verifier.sock"
#define LINE_MAX_BYTES 4096
#define PAGE 4096
#define REGIONS_MAX 64

static uint8_t secret[32];
static struct { uint8_t *at; uint64_t pages, seed; } regions[REGIONS_MAX];
static int region_count;
static int tick_fd = -1;
static volatile int ticking;

/* SHA-256 as in FIPS 180-4. The constants are computed: fractional parts of roots of the first primes. */
static uint32_t round_constants[64], initial_state[8];

static uint32_t fraction_bits(int prime, int cube) {
  /* The largest integer x with x^n <= prime * 2^(32 n), by bisection in 128 bits; its low 32 bits are the fraction's. */
  unsigned __int128 low = 0, high = (unsigned __int128)1 << 36;
  while (high - low > 1) {
    unsigned __int128 middle = (low + high) / 2;
    /* For the cube root, x^3 does not fit in 128 bits; compare x * x with prime * 2^96 / x instead. */
    int fits = cube ? middle * middle <= (((unsigned __int128)prime << 96) / middle)
                    : middle * middle <= ((unsigned __int128)prime << 64);
    if (fits) low = middle; else high = middle;
  }
  return (uint32_t)low;
}

static void sha256_prepare(void) {
  int found = 0;
  for (int n = 2; found < 64; n++) {
    int is_prime = 1;
    for (int d = 2; d * d <= n; d++) if (n % d == 0) is_prime = 0;
    if (!is_prime) continue;
    if (found < 8) initial_state[found] = fraction_bits(n, 0);
    round_constants[found++] = fraction_bits(n, 1);
  }
}

static uint32_t rotate(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void sha256_block(uint32_t state[8], const uint8_t *block) {
  uint32_t w[64], s[8];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 | block[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) + w[i - 7] + (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
  }
  memcpy(s, state, sizeof s);
  for (int i = 0; i < 64; i++) {
    uint32_t e = s[4], a = s[0];
    uint32_t t1 = s[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + round_constants[i] + w[i];
    uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += s[i];
}

/* Messages of at most LINE_MAX_BYTES + 64 bytes; more is never hashed here. */
static void sha256(const uint8_t *data, size_t bytes, uint8_t out[32]) {
  static uint8_t padded[LINE_MAX_BYTES + 192];
  size_t total = (bytes + 9 + 63) / 64 * 64;
  memset(padded, 0, total);
  memcpy(padded, data, bytes);
  padded[bytes] = 0x80;
  for (int i = 0; i < 8; i++) padded[total - 1 - i] = (uint8_t)((uint64_t)bytes * 8 >> 8 * i);
  uint32_t state[8];
  memcpy(state, initial_state, sizeof state);
  for (size_t at = 0; at < total; at += 64) sha256_block(state, padded + at);
  for (int i = 0; i < 32; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void hmac(const char *message, uint8_t out[32]) {
  uint8_t buffer[64 + LINE_MAX_BYTES];
  size_t bytes = strlen(message);
  memset(buffer, 0x36, 64);
  for (int i = 0; i < 32; i++) buffer[i] ^= secret[i];
  memcpy(buffer + 64, message, bytes);
  sha256(buffer, 64 + bytes, out);
  memset(buffer, 0x5c, 64);
  for (int i = 0; i < 32; i++) buffer[i] ^= secret[i];
  memcpy(buffer + 64, out, 32);
  sha256(buffer, 96, out);
}

static char *hex(char *to, const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; i++) to += sprintf(to, "%02x", bytes[i]);
  return to;
}

static int fresh_bytes(uint8_t *to, size_t count) { return getrandom(to, count, 0) == (ssize_t)count ? 0 : -1; }

/* Like the memory of a program: most words are of a small vocabulary, some are like nothing else. It compresses about threefold. */
static void make_page(uint64_t *to, uint64_t seed, uint64_t number) {
  static const char words[32][9] = {
    "function", "return  ", "const   ", "import  ", "export  ", "async   ", "await   ", "string  ", "number  ", "boolean ", "undefine",
    "null    ", "promise ", "machine ", "session ", "snapshot", "resume  ", "suspend ", "fork    ", "memory  ", "kernel  ", "process ",
    "thread  ", "socket  ", "channel ", "request ", "response", "handler ", "module  ", "package ", "version ", "license "};
  uint64_t x = (seed ^ number * 0x9e3779b97f4a7c15u) | 1;
  for (int i = 0; i < PAGE / 8; i++) {
    x ^= x << 13; x ^= x >> 7; x ^= x << 17;
    if ((x & 3) == 0) to[i] = x;
    else memcpy(to + i, words[x >> 2 & 31], 8);
  }
}

static int fill(uint64_t mib, uint64_t seed) {
  if (region_count == REGIONS_MAX) return -1;
  uint64_t pages = mib * 1024 * 1024 / PAGE;
  uint8_t *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return -1;
  for (uint64_t i = 0; i < pages; i++) make_page((uint64_t *)(at + i * PAGE), seed, i);
  regions[region_count].at = at;
  regions[region_count].pages = pages;
  regions[region_count++].seed = seed;
  return 0;
}

static void check(uint64_t *pages, uint64_t *mismatches) {
  uint64_t expected[PAGE / 8];
  *pages = *mismatches = 0;
  for (int r = 0; r < region_count; r++)
    for (uint64_t i = 0; i < regions[r].pages; i++, ++*pages) {
      make_page(expected, regions[r].seed, i);
      if (memcmp(expected, regions[r].at + i * PAGE, PAGE)) ++*mismatches;
    }
}

static int hold(const char *file, int port) {
  int fd = open(file, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || write(fd, "held\n", 5) != 5 || flock(fd, LOCK_EX | LOCK_NB)) return -1;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  return listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4) ? -1 : 0;
}

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void *tick(void *unused) {
  (void)unused;
  const struct timespec pause = {.tv_nsec = 5000000};
  while (ticking) {
    uint64_t now = now_us();
    if (dprintf(tick_fd, "%llu.%03llu\n", (unsigned long long)(now / 1000), (unsigned long long)(now % 1000)) < 0) break;
    nanosleep(&pause, NULL);
  }
  return NULL;
}

static int set_tick(const char *file) {
  static pthread_t thread;
  if (ticking) { ticking = 0; pthread_join(thread, NULL); close(tick_fd); }
  if (!strcmp(file, "-")) return 0;
  tick_fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (tick_fd < 0) return -1;
  ticking = 1;
  return pthread_create(&thread, NULL, tick, NULL);
}

static void work(uint64_t blocks) {
  uint8_t block[64] = {0};
  uint32_t state[8];
  memcpy(state, initial_state, sizeof state);
  for (uint64_t i = 0; i < blocks; i++) { sha256_block(state, block); memcpy(block, state, sizeof state); }
}

static void answer(char *line, char *to) {
  char *verb = strtok(line, " "), *a = strtok(NULL, " "), *b = strtok(NULL, " ");
  uint8_t digest[32];
  int ok = -1;
  if (!verb) verb = "";
  if (!strcmp(verb, "renew")) { ok = fresh_bytes(secret, 32); hex(to, secret, 32); }
  else if (!strcmp(verb, "hash") && a) { hmac(a, digest); ok = 0; hex(to, digest, 32); }
  else if (!strcmp(verb, "fresh") && a) {
    ok = fresh_bytes(secret, 32);
    hmac(a, digest);
    char *end = hex(to, secret, 32);
    *end++ = ' ';
    hex(end, digest, 32);
  }
  else if (!strcmp(verb, "random")) { ok = fresh_bytes(digest, 32); hex(to, digest, 32); }
  else if (!strcmp(verb, "fill") && a && b) { ok = fill(strtoull(a, 0, 10), strtoull(b, 0, 10)); strcpy(to, "filled"); }
  else if (!strcmp(verb, "check")) {
    uint64_t pages, mismatches;
    check(&pages, &mismatches);
    ok = 0;
    sprintf(to, "%llu %llu", (unsigned long long)pages, (unsigned long long)mismatches);
  }
  else if (!strcmp(verb, "hold") && a && b) { ok = hold(a, atoi(b)); strcpy(to, "held"); }
  else if (!strcmp(verb, "tick") && a) { ok = set_tick(a); strcpy(to, "set"); }
  else if (!strcmp(verb, "work") && a) {
    uint64_t since = now_us();
    work(strtoull(a, 0, 10));
    ok = 0;
    sprintf(to, "%llu", (unsigned long long)(now_us() - since));
  }
  if (ok) sprintf(to, "error %s", errno ? strerror(errno) : "no such request");
}

static int serve(void) {
  sha256_prepare();
  if (fresh_bytes(secret, 32)) return 1;
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
  unlink(SOCKET_PATH);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64)) return 1;
  for (;;) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    char line[LINE_MAX_BYTES], reply[LINE_MAX_BYTES];
    ssize_t bytes = 0, got;
    while (bytes < LINE_MAX_BYTES - 1 && (got = read(client, line + bytes, LINE_MAX_BYTES - 1 - bytes)) > 0)
      if (memchr(line + bytes, '\n', got) ? (bytes += got, 1) : (bytes += got, 0)) break;
    line[bytes] = 0;
    line[strcspn(line, "\n")] = 0;
    errno = 0;
    answer(line, reply);
    dprintf(client, "%s\n", reply);
    close(client);
  }
}

static int ask(int argc, char **argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  char buffer[LINE_MAX_BYTES];
  ssize_t got;
  if (connect(server, (struct sockaddr *)&address, sizeof address)) { perror(SOCKET_PATH); return 1; }
  for (int i = 1; i < argc; i++) dprintf(server, "%s%c", argv[i], i + 1 < argc ? ' ' : '\n');
  while ((got = read(server, buffer, sizeof buffer)) > 0)
    if (write(1, buffer, got) != got) return 1;
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  return !strcmp(argv[1], "serve") ? serve() : ask(argc, argv);
}
