// C++ on libgc (test-libgc-cpp.sh): class gc, gc_cleanup (also as a second base, in arrays of memory, deleted by hand),
// placement new with and without a cleanup function, the global operators, the allocators of containers.
#include <gc/gc_cpp.h>
#include <gc/gc_allocator.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <string>
#include <vector>

#define CHECK(cond)                                                                                     \
	do {                                                                                            \
		if (!(cond)) {                                                                          \
			std::fprintf(stderr, "%s:%d: FAILED: expected %s\n", __FILE__, __LINE__, #cond); \
			std::_Exit(1);                                                                  \
		}                                                                                       \
	} while (0)

enum { N = 2000 };

static int destroyed, cleaned;

struct Plain : gc {
	Plain *next = nullptr;
	long value = 0;
};

struct Cleaned : gc_cleanup {
	long value = 4711;
	~Cleaned() override
	{
		CHECK(value == 4711);
		destroyed++;
	}
};

struct Other {
	virtual ~Other() {}
	long pad[4] = {};
};

struct Second : Other, gc_cleanup {
	long value = 1234;
	~Second() override
	{
		CHECK(value == 1234);
		destroyed++;
	}
};

struct NotOurs {
	long value = 7;
	void *pointer = nullptr;
};

extern "C" void on_clean(void *object, void *data)
{
	CHECK(static_cast<NotOurs *>(object)->value == 7 && data == &cleaned);
	cleaned++;
}

__attribute__((noinline)) static void wipe()
{
	volatile char junk[65536];
	std::memset(const_cast<char *>(junk), 0, sizeof junk);
}

__attribute__((noinline)) static void settle()
{
	for (int i = 0; i < 4; i++) {
		wipe();
		GC_gcollect();
		GC_invoke_finalizers();
	}
}

template <class F> __attribute__((noinline)) static void apart(F f)
{
	f();
	wipe();
}

static Plain *chain;
static std::vector<NotOurs *> *uncollected;

int main()
{
	GC_INIT();
	apart([] {
		for (int i = 0; i < N; i++) {
			Plain *p = new Plain;
			p->value = i;
			p->next = chain;
			chain = p;
		}
	});
	settle();
	int n = 0;
	for (Plain *p = chain; p; p = p->next)
		CHECK(p->value == N - ++n);
	CHECK(n == N);

	apart([] {
		for (int i = 0; i < N; i++)
			new Cleaned;
	});
	settle();
	CHECK(destroyed <= N && destroyed >= N * 95 / 100);
	settle();
	destroyed = 0;
	apart([] {
		for (int i = 0; i < N; i++)
			new Second;
	});
	settle();
	CHECK(destroyed <= N && destroyed >= N * 95 / 100);
	settle();
	destroyed = 0;
	apart([] {
		for (int i = 0; i < N; i++)
			delete new Cleaned;
	});
	// Some of those before may have waited until now.
	CHECK(destroyed >= N && destroyed <= N * 105 / 100);
	settle();
	CHECK(destroyed >= N && destroyed <= N * 105 / 100);
	destroyed = 0;
	{
		Cleaned on_stack;
	}
	CHECK(destroyed == 1);

	apart([] {
		for (int i = 0; i < N; i++)
			new (UseGC, on_clean, &cleaned) NotOurs;
	});
	settle();
	CHECK(cleaned <= N && cleaned >= N * 95 / 100);

	// The global operators: roots that hold collected objects.
	uncollected = new std::vector<NotOurs *>;
	apart([] {
		for (int i = 0; i < N; i++) {
			NotOurs *p = new (NoGC) NotOurs;
			p->pointer = GC_MALLOC(16);
			*static_cast<long *>(p->pointer) = i;
			uncollected->push_back(p);
		}
	});
	settle();
	for (int i = 0; i < N; i++) {
		CHECK(*static_cast<long *>((*uncollected)[i]->pointer) == i);
		delete (*uncollected)[i];
	}
	delete uncollected;

	std::vector<Plain *, gc_allocator<Plain *>> *v = new (UseGC) std::vector<Plain *, gc_allocator<Plain *>>;
	std::list<Plain *, traceable_allocator<Plain *>> l;
	std::map<int, std::string, std::less<int>, gc_allocator<std::pair<const int, std::string>>> m;
	std::vector<int, gc_allocator_ignore_off_page<int>> big(100000, 3);
	for (int i = 0; i < N; i++) {
		Plain *p = new Plain;
		p->value = i;
		v->push_back(p);
		l.push_back(new Plain);
		l.back()->value = -i;
		m[i] = std::to_string(i);
		if (i % 500 == 0)
			GC_gcollect();
	}
	settle();
	int i = 0;
	for (Plain *p : l)
		CHECK(p->value == -i++);
	for (i = 0; i < N; i++)
		CHECK((*v)[i]->value == i && m[i] == std::to_string(i));
	CHECK(big[99999] == 3);
	gc_allocator<int> a;
	gc_allocator<long> b(a);
	CHECK(a == b && !(a != b));
	bool thrown = false;
	GC_set_warn_proc(GC_ignore_warn_proc);
	try {
		GC_set_max_heap_size(64 << 20);
		new (UseGC) char[(std::size_t)1 << 40];
	} catch (const std::bad_alloc &) {
		thrown = true;
	}
	CHECK(thrown);
	return 0;
}
