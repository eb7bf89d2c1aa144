/* pages.c - owns the reservation and the runs of free pages; see pages.h. Called by heap.c and large.c. */
#include "pages.h"

#include <pthread.h>
#include <string.h>

#include "os.h"

#define MAX_PAGES ((size_t)1 << 22) /* 256 GiB */
#define COMMIT_STEP 256		    /* pages made usable at once */
#define ALIGN_BASE ((size_t)1 << 30) /* so that what is aligned among the pages is aligned */
#define BINS 24
#define DIRTY_LEAST 128 /* free pages that keep their memory in any case */
#define EXCESS_NS 100000000u

uintptr_t pages_base;
size_t pages_bytes;
struct page *pages;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct page *bins[BINS];
static size_t npages, edge, committed; /* pages that were ever taken; that are usable */
static uint64_t excess_since;	       /* there are too many dirty pages; 0: not so */
static size_t taken, dirty;	       /* pages in use; free ones whose memory is not the kernel's */
static size_t unwanted;		       /* the fewest dirty ones that there were since then */

void pages_lock(void)
{
	pthread_mutex_lock(&lock);
}

void pages_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void pages_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
}

static bool init(void)
{
	size_t left = gcdune_os_address_limit();

	for (npages = MAX_PAGES; npages >= 1024; npages /= 2) {
		if (npages * PAGE_BYTES > left / 4)
			continue;
		void *base = gcdune_os_reserve(npages * PAGE_BYTES, npages * PAGE_BYTES < ALIGN_BASE ? PAGE_BYTES : ALIGN_BASE);
		/* One more, which stays PAGE_NONE: looking at a neighbour needs no test for the end. */
		struct page *table = base ? gcdune_os_reserve_zero((npages + 1) * sizeof *table) : NULL;

		if (!table) {
			gcdune_os_unmap(base, npages * PAGE_BYTES);
			continue;
		}
		/* Objects are here: for a collector this is the program's memory, not its own. */
		gcdune_os_disown(base);
		pages = table;
		pages_base = (uintptr_t)base;
		pages_bytes = npages * PAGE_BYTES;
		return true;
	}
	return false;
}

bool pages_init(void)
{
	bool done;

	pages_lock();
	done = pages_bytes || init();
	pages_unlock();
	return done;
}

static unsigned bin_of(size_t length)
{
	unsigned bin = 63 - (unsigned)__builtin_clzll(length);

	return bin < BINS ? bin : BINS - 1;
}

static void bin_add(struct page *page, size_t length)
{
	struct page **head = &bins[bin_of(length)];

	page->use = page[length - 1].use = PAGE_FREE;
	page->length = page[length - 1].length = (uint32_t)length;
	page->prev = NULL;
	page->next = *head;
	if (*head)
		(*head)->prev = page;
	*head = page;
}

static void bin_remove(struct page *page)
{
	if (page->prev)
		page->prev->next = page->next;
	else
		bins[bin_of(page->length)] = page->next;
	if (page->next)
		page->next->prev = page->prev;
}

/* N pages are in use no longer. */
static void soil(struct page *page, size_t n)
{
	for (size_t i = 0; i < n; i++)
		page[i].clean = 0;
	taken -= n;
	dirty += n;
}

/* N free pages come into use. Whether all of them are clean. */
static bool use(const struct page *page, size_t n)
{
	size_t clean = 0;

	for (size_t i = 0; i < n; i++)
		clean += page[i].clean;
	taken += n;
	dirty -= n - clean;
	if (dirty < unwanted)
		unwanted = dirty;
	return clean == n;
}

/* Joins the run with what is free before and behind. */
static void run_free(struct page *page, size_t length)
{
	size_t index = (size_t)(page - pages);

	/* A tail of a large object has use 0, so a free page beside this run is the end of a free run. */
	if (index && page[-1].use == PAGE_FREE) {
		struct page *before = page - page[-1].length;

		page[-1].use = PAGE_NONE;
		length += before->length;
		bin_remove(before);
		page = before;
	}
	if (page + length < pages + edge && page[length].use == PAGE_FREE) {
		struct page *behind = page + length;

		bin_remove(behind);
		behind->use = PAGE_NONE;
		length += behind->length;
	}
	bin_add(page, length);
}

/* The first run that has N pages at ALIGN. */
static struct page *find(size_t n, size_t align, size_t *skip)
{
	for (unsigned bin = bin_of(n); bin < BINS; bin++)
		for (struct page *page = bins[bin]; page; page = page->next) {
			size_t index = (size_t)(page - pages);

			*skip = (index + align - 1) / align * align - index;
			if (page->length >= *skip + n)
				return page;
		}
	return NULL;
}

/* The table reaches as far as the pages do, and one more. */
static bool commit(size_t want)
{
	size_t upto = (want + COMMIT_STEP - 1) / COMMIT_STEP * COMMIT_STEP;
	size_t table_from = (committed * sizeof *pages + 4095) / 4096 * 4096, table_to;

	if (upto > npages)
		upto = npages;
	if (want > upto)
		return false;
	table_to = ((upto + 1) * sizeof *pages + 4095) / 4096 * 4096;
	if (table_to > table_from && gcdune_os_commit((char *)pages + table_from, table_to - table_from))
		return false;
	if (gcdune_os_commit((char *)pages_base + committed * PAGE_BYTES, (upto - committed) * PAGE_BYTES))
		return false;
	committed = upto;
	return true;
}

static struct page *grow(size_t n, size_t align)
{
	size_t first = (edge + align - 1) / align * align;

	if (first + n < n || first + n > npages || (first + n > committed && !commit(first + n)))
		return NULL;
	size_t gap = first - edge;
	struct page *page = &pages[first];

	for (size_t i = edge; i < first + n; i++)
		pages[i].clean = 1;
	edge = first + n;
	if (gap)
		run_free(page - gap, gap);
	return page;
}

/* Of a free run, from its end, which is wanted last, until KEEP dirty pages are left of all. */
static void purge_run(struct page *page, size_t length, size_t keep)
{
	for (size_t end = length; end && dirty > keep;) {
		size_t i = end;

		while (i && !page[i - 1].clean && end - i < dirty - keep)
			i--;
		if (i == end) {
			end--;
			continue;
		}
		if (gcdune_os_release(page_address(page + i), (end - i) * PAGE_BYTES))
			return;
		for (size_t k = i; k < end; k++)
			page[k].clean = 1;
		dirty -= end - i;
		end = i;
	}
}

static void purge(size_t keep)
{
	for (unsigned bin = BINS; bin-- > 0 && dirty > keep;)
		for (struct page *page = bins[bin]; page && dirty > keep; page = page->next)
			purge_run(page, page->length, keep);
}

struct page *pages_take(size_t n, size_t align)
{
	size_t skip;
	struct page *page;

	pages_lock();
	page = find(n, align, &skip);
	if (page) {
		size_t length = page->length;

		bin_remove(page);
		page[length - 1].use = PAGE_NONE;
		page->use = PAGE_NONE;
		if (skip)
			bin_add(page, skip);
		if (length > skip + n)
			bin_add(page + skip + n, length - skip - n);
		page += skip;
	} else {
		page = grow(n, align);
	}
	if (page) {
		page->clean = use(page, n);
		page->length = (uint32_t)n;
		page->use = PAGE_LARGE; /* not free; the caller makes it what it is */
	}
	pages_unlock();
	return page;
}

/* Some memory is worth keeping, in proportion to what is in use. Of more, half of what was free all the time for a while
 * goes back; what comes and goes in that time does not: a page that is touched anew costs a microsecond or more. */
static void give_back(void)
{
	size_t keep = DIRTY_LEAST / 2 + taken / 16;

	if (dirty <= DIRTY_LEAST + taken / 8) {
		excess_since = 0;
		return;
	}
	uint64_t now = gcdune_os_now();

	if (excess_since && now - excess_since <= EXCESS_NS)
		return;
	if (excess_since && unwanted > keep)
		purge(dirty - (unwanted - keep) / 2);
	excess_since = now;
	unwanted = dirty;
}

void pages_give(struct page *page, size_t n)
{
	pages_lock();
	page->use = PAGE_NONE;
	soil(page, n);
	run_free(page, n);
	give_back();
	pages_unlock();
}

bool pages_resize(struct page *page, size_t n)
{
	size_t old = page->length;
	bool done = true;

	if (n == old)
		return true;
	pages_lock();
	if (n < old) {
		page->length = (uint32_t)n;
		soil(page + n, old - n);
		run_free(page + n, old - n);
	} else {
		struct page *behind = page + old;

		done = behind < pages + edge && behind->use == PAGE_FREE && behind->length >= n - old;
		if (done) {
			size_t rest = behind->length - (n - old);

			bin_remove(behind);
			behind[behind->length - 1].use = PAGE_NONE;
			behind->use = PAGE_NONE;
			if (rest)
				bin_add(page + n, rest);
			page->length = (uint32_t)n;
			use(behind, n - old);
		} else if (behind == pages + edge && edge + (n - old) <= npages &&
			   (edge + (n - old) <= committed || commit(edge + (n - old)))) {
			edge += n - old;
			page->length = (uint32_t)n;
			taken += n - old;
			done = true;
		}
	}
	pages_unlock();
	return done;
}

void pages_trim(void)
{
	pages_lock();
	purge(0);
	pages_unlock();
}
