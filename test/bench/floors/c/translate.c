/*
 * The floor of the translation rows: the same x86-64 tables in a contiguous pool, and a direct-mapped IOTLB of structs, in C.
 *
 * Each line on stdin is `KIND PAGES SECONDS COUNT`: KIND is `hit` (reads through one context), `path` (reads and writes through
 * CONTEXTS of them, each with its share of the pages) or `walk` (no IOTLB); PAGES is a power of two; a COUNT other than 0 asks for
 * exactly so many, whatever the time. Each answer is one line of JSON. Every line starts the generator anew, so equal counts
 * give equal checksums.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PRESENT = 1, WRITABLE = 2, USER = 4, ACCESSED = 1 << 5, DIRTY = 1 << 6, LARGE = 1 << 7 };
enum { READ = 1, WRITE = 2 };
enum { PERFORMED, NOT_PRESENT, NOT_PERMITTED, NOT_CANONICAL, RESERVED_BITS, EXTERNAL_ABORT };
enum { ENTRIES = 512, IOTLB_ENTRIES = 1 << 15, CONTEXTS = 4, BATCH = 1 << 16 };

/* As test/bench/measures/core/working-set.ts has them. */
#define FIRST_IOVA_PAGE UINT64_C(0x100000)
#define FIRST_PAGE UINT64_C(0x100000)
#define SCATTER UINT64_C(0x9e375)
#define SCATTERED_PAGES (UINT64_C(1) << 20)
#define SEED UINT32_C(0x2545f491)

#define ADDRESS UINT64_C(0x000ffffffffff000)
#define RESERVED_2M UINT64_C(0x1fe000)
#define RESERVED_1G UINT64_C(0x3fffe000)

struct found {
  uint64_t page;
  uint32_t access;
  uint32_t pages_lg2;
};
struct iotlb_entry {
  uint64_t key; /* IOVA page, with the context's tag above its 52 bits; 0 is nobody's */
  uint64_t page : 44, access : 3, pages_lg2 : 6;
};

static uint64_t *pool;
static uint64_t pool_entries;
static uint64_t next_table;
static uint64_t root;
static struct iotlb_entry iotlb[IOTLB_ENTRIES];
static uint64_t context_tag[CONTEXTS];

static uint64_t scattered(uint64_t index) { return FIRST_PAGE + ((index * SCATTER) & (SCATTERED_PAGES - 1)); }

static void map(uint64_t page, uint64_t target) {
  uint64_t table = root;
  for (int level = 4; level > 1; level--) {
    uint64_t *entry = &pool[table * ENTRIES + ((page >> (9 * (level - 1))) & (ENTRIES - 1))];
    if (*entry == 0) *entry = (next_table++ << 12) | PRESENT | WRITABLE | USER | ACCESSED;
    table = (*entry & ADDRESS) >> 12;
  }
  pool[table * ENTRIES + (page & (ENTRIES - 1))] = (target << 12) | PRESENT | WRITABLE | USER | ACCESSED | DIRTY;
}

static void build(uint64_t pages) {
  uint64_t tables = 8 + pages / ENTRIES + pages / (ENTRIES * ENTRIES);
  free(pool);
  pool_entries = tables * ENTRIES;
  pool = aligned_alloc(4096, tables * 4096);
  if (pool == NULL) exit(1);
  memset(pool, 0, tables * 4096);
  memset(iotlb, 0, sizeof iotlb);
  next_table = 1;
  root = next_table++;
  for (uint64_t i = 0; i < pages; i++) map(FIRST_IOVA_PAGE + i, scattered(i));
  for (uint64_t i = 0; i < CONTEXTS; i++) context_tag[i] = (i + 1) << 52;
}

static int leaf(uint64_t page, uint64_t entry, uint64_t rights, uint32_t pages_lg2, struct found *found) {
  if (!(rights & USER)) return NOT_PERMITTED;
  uint64_t inside = (UINT64_C(1) << pages_lg2) - 1;
  found->page = (((entry & ADDRESS) >> 12) & ~inside) | (page & inside);
  found->access = READ | (rights & WRITABLE);
  found->pages_lg2 = pages_lg2;
  return PERFORMED;
}

static int walk(uint64_t page, struct found *found) {
  if (((page >> 35) + 1) % (1 << 17) > 1) return NOT_CANONICAL;
  uint64_t entry4 = pool[root * ENTRIES + ((page >> 27) & (ENTRIES - 1))];
  if (!(entry4 & PRESENT)) return NOT_PRESENT;
  if (entry4 & LARGE) return RESERVED_BITS;
  uint64_t table3 = (entry4 & ADDRESS) >> 3;
  if (table3 >= pool_entries) return EXTERNAL_ABORT;
  uint64_t entry3 = pool[table3 + ((page >> 18) & (ENTRIES - 1))];
  if (!(entry3 & PRESENT)) return NOT_PRESENT;
  if (entry3 & LARGE) return entry3 & RESERVED_1G ? RESERVED_BITS : leaf(page, entry3, entry4 & entry3, 18, found);
  uint64_t table2 = (entry3 & ADDRESS) >> 3;
  if (table2 >= pool_entries) return EXTERNAL_ABORT;
  uint64_t entry2 = pool[table2 + ((page >> 9) & (ENTRIES - 1))];
  if (!(entry2 & PRESENT)) return NOT_PRESENT;
  if (entry2 & LARGE) return entry2 & RESERVED_2M ? RESERVED_BITS : leaf(page, entry2, entry4 & entry3 & entry2, 9, found);
  uint64_t table1 = (entry2 & ADDRESS) >> 3;
  if (table1 >= pool_entries) return EXTERNAL_ABORT;
  uint64_t entry1 = pool[table1 + (page & (ENTRIES - 1))];
  if (!(entry1 & PRESENT)) return NOT_PRESENT;
  return leaf(page, entry1, entry4 & entry3 & entry2 & entry1, 0, found);
}

static int translate(uint32_t context, uint64_t page, uint32_t access, struct found *found) {
  uint64_t tag = context_tag[context];
  struct iotlb_entry *entry = &iotlb[(page ^ (tag >> 49)) & (IOTLB_ENTRIES - 1)];
  if (entry->key == (page | tag) && (entry->access & access) == access) {
    *found = (struct found){entry->page, entry->access, entry->pages_lg2};
    return PERFORMED;
  }
  int status = walk(page, found);
  if (status != PERFORMED) return status;
  if ((found->access & access) != access) return NOT_PERMITTED;
  *entry = (struct iotlb_entry){page | tag, found->page, found->access, found->pages_lg2};
  return PERFORMED;
}

static uint32_t xorshift(uint32_t x) {
  x ^= x << 13;
  x ^= x >> 17;
  return x ^ (x << 5);
}

struct run {
  uint32_t x;
  uint32_t sum;
  uint64_t refused;
};

static void walks(struct run *run, uint32_t pages, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    struct found found;
    run->x = xorshift(run->x);
    if (walk(FIRST_IOVA_PAGE + (run->x & (pages - 1)), &found) == PERFORMED) run->sum += (uint32_t)found.page;
    else run->refused++;
  }
}

static void hits(struct run *run, uint32_t pages, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    struct found found;
    run->x = xorshift(run->x);
    if (translate(0, FIRST_IOVA_PAGE + (run->x & (pages - 1)), READ, &found) == PERFORMED) run->sum += (uint32_t)found.page;
    else run->refused++;
  }
}

static void paths(struct run *run, uint32_t pages, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    struct found found;
    run->x = xorshift(run->x);
    uint32_t index = run->x & (pages - 1);
    uint32_t access = READ + (run->x >> 31);
    if (translate(index % CONTEXTS, FIRST_IOVA_PAGE + index, access, &found) == PERFORMED) run->sum += (uint32_t)found.page;
    else run->refused++;
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(void) {
  char kind[8];
  uint32_t pages;
  uint32_t built = 0;
  double seconds;
  uint64_t count;
  while (scanf("%7s %" SCNu32 " %lf %" SCNu64, kind, &pages, &seconds, &count) == 4) {
    if (pages != built) build(built = pages);
    void (*batch)(struct run *, uint32_t, uint64_t) = kind[0] == 'w' ? walks : kind[0] == 'h' ? hits : paths;
    struct run run = {SEED, 0, 0};
    uint64_t completed = 0;
    double started = now();
    double passed = 0;
    if (count > 0) {
      batch(&run, pages, count);
      completed = count;
      passed = now() - started;
    }
    for (; count == 0 && passed < seconds; passed = now() - started) {
      batch(&run, pages, BATCH);
      completed += BATCH;
    }
    printf("{\"completed\":%" PRIu64 ",\"seconds\":%.9f,\"checksum\":%" PRIu32 ",\"refused\":%" PRIu64 "}\n", completed, passed, run.sum,
           run.refused);
    fflush(stdout);
  }
  return 0;
}
