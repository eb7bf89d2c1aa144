# module.mk - builds benchmarks/: the programs once per back end, the demo's driver, the micro-benchmarks.
#
# Objects go to $(BUILD)/obj/bench/BACKEND, programs to $(BUILD)/bench/NAME-BACKEND, drivers to $(BUILD)/bin. A back
# end is three variables: flags that choose it in backend.h, objects, libraries. Every program is compiled with the
# same flags for all of them; malloc must stay a call to be compared, so the compiler may not treat it as a builtin.

BENCH := $(BUILD)/bench
GBENCH_PARTS := micro-suite micro-suite-alloc micro-suite-collect
BENCH_OBJ := $(BUILD)/obj/bench
DEMO_NAMES := gcbench binary-trees linked-list hash-map xml-parse live-cache
BENCH_PROGRAMS := $(DEMO_NAMES) large-arrays string-churn fibers lisp graph idle-heap producer-consumer cells
BENCH_BACKENDS := gcdune gcdune-functions boehm jemalloc mimalloc glibc

BENCH_FLAGS_gcdune := -DBACKEND_GCDUNE
BENCH_FLAGS_gcdune-functions := -DBACKEND_GCDUNE -DBACKEND_FUNCTIONS
BENCH_FLAGS_boehm := -DBACKEND_BDW
BENCH_FLAGS_jemalloc := -DBACKEND_MALLOC -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-free
BENCH_FLAGS_mimalloc := $(BENCH_FLAGS_jemalloc)
BENCH_FLAGS_glibc := $(BENCH_FLAGS_jemalloc)
BENCH_PARTS_gcdune := backend-gcdune figures
BENCH_PARTS_gcdune-functions := backend-gcdune figures
BENCH_PARTS_boehm := backend-bdw observe-bdw figures
BENCH_PARTS_jemalloc := backend-malloc figures
BENCH_PARTS_mimalloc := backend-malloc figures
BENCH_PARTS_glibc := backend-malloc figures
BENCH_NEEDS_gcdune := $(BUILD)/lib/libgcdune.so
BENCH_NEEDS_gcdune-functions := $(BENCH_NEEDS_gcdune)
BENCH_LIBS_gcdune := -L$(BUILD)/lib -Wl,-rpath,'$$ORIGIN/../lib' -lgcdune
BENCH_LIBS_gcdune-functions := $(BENCH_LIBS_gcdune)
BENCH_LIBS_boehm := $(BDWGC_LIBS) -ldl
BENCH_LIBS_jemalloc := $(JEMALLOC_LIBS)
BENCH_LIBS_mimalloc := $(MIMALLOC_LIBS)
BENCH_LIBS_glibc :=

# The same with the time of each allocation call taken: for make bench-longest only.
TIMED_BACKENDS := gcdune-timed $(if $(HAVE_BDWGC),boehm-timed)
BENCH_FLAGS_gcdune-timed := $(BENCH_FLAGS_gcdune) -DBACKEND_TIMED
BENCH_PARTS_gcdune-timed := $(BENCH_PARTS_gcdune) timed
BENCH_NEEDS_gcdune-timed := $(BENCH_NEEDS_gcdune)
BENCH_LIBS_gcdune-timed := $(BENCH_LIBS_gcdune)
BENCH_FLAGS_boehm-timed := $(BENCH_FLAGS_boehm) -DBACKEND_TIMED
BENCH_PARTS_boehm-timed := $(BENCH_PARTS_boehm) timed
BENCH_LIBS_boehm-timed := $(BENCH_LIBS_boehm)

# Boehm's collector from sources, where configure was told of some: with the settings of its own configure script.
ifneq ($(BDWGC_SOURCE),)
BENCH_BACKENDS += boehm-current
BENCH_FLAGS_boehm-current := -DBACKEND_BDW -I$(BDWGC_SOURCE)/include
BENCH_PARTS_boehm-current := $(BENCH_PARTS_boehm)
BENCH_NEEDS_boehm-current := $(BENCH)/libgc-current.so
BENCH_LIBS_boehm-current := -L$(BENCH) -Wl,-rpath,'$$ORIGIN' -lgc-current -ldl
$(BENCH)/libgc-current.so: $(BDWGC_SOURCE)/extra/gc.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -O2 -g -fPIC -shared -pthread -fno-strict-aliasing -w -I$(BDWGC_SOURCE)/include -D_GNU_SOURCE -DGC_THREADS \
		-DPARALLEL_MARK -DTHREAD_LOCAL_ALLOC -DGC_BUILTIN_ATOMIC -DALL_INTERIOR_POINTERS -DENABLE_DISCLAIM -DGC_GCJ_SUPPORT \
		-DJAVA_FINALIZATION -DGC_ATOMIC_UNCOLLECTABLE -DUSE_MMAP -DUSE_MUNMAP -DNO_EXECUTE_PERMISSION -DHAVE_DL_ITERATE_PHDR \
		-DHAVE_PTHREAD_SETNAME_NP_WITH_TID -DHAVE_SYS_TYPES_H -DHAVE_UNISTD_H -Wl,-soname,$(@F) -o $@ $< -ldl
endif

# Whippet, from sources: the collector of its that traces everything conservatively. Its own flags, less link-time optimization.
ifneq ($(WHIPPET_SOURCE),)
BENCH_BACKENDS += whippet
WHIPPET_FLAGS := -I$(WHIPPET_SOURCE)/api -DNDEBUG -DGC_CONSERVATIVE_ROOTS=1 -DGC_CONSERVATIVE_TRACE=1 -DGC_PARALLEL=1 \
	'-DGC_ATTRS="$(WHIPPET_SOURCE)/api/mmc-attrs.h"' '-DGC_EMBEDDER="$(TOP)/benchmarks/backend-whippet.h"' -w
BENCH_FLAGS_whippet := -DBACKEND_WHIPPET $(WHIPPET_FLAGS)
BENCH_PARTS_whippet := backend-whippet figures
BENCH_NEEDS_whippet := $(patsubst %,$(BENCH_OBJ)/whippet/lib/%.o,gc-platform-gnu-linux gc-stack gc-options gc-tracepoint gc-ephemeron \
	gc-finalizer mmc)
BENCH_LIBS_whippet := -lm
$(BENCH_OBJ)/whippet/lib/%.o: $(WHIPPET_SOURCE)/src/%.c benchmarks/backend-whippet.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -O2 -g -pthread -fno-strict-aliasing -fvisibility=hidden -D_GNU_SOURCE $(WHIPPET_FLAGS) -c -o $@ $<
endif

BENCH_CFLAGS = $(BASE_CPPFLAGS) -iquote benchmarks -I$(BUILD)/include $(CPPFLAGS) $(BASE_CFLAGS) $(CFLAGS)

# $(1) back end
define bench_backend
$(BENCH_OBJ)/$(1)/%.o: benchmarks/%.c $(BUILD)/flags | $(INCLUDES)
	@mkdir -p $$(@D)
	$$(call say,CC)
	$$(Q)$$(CC) $$(BENCH_CFLAGS) $(BENCH_FLAGS_$(1)) $$(DEPEND) -c -o $$@ $$<

$(BENCH)/%-$(1): $(BENCH_OBJ)/$(1)/%.o $(BENCH_PARTS_$(1):%=$(BENCH_OBJ)/$(1)/%.o) $(BENCH_NEEDS_$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK)
	$$(Q)$$(CC) $$(BASE_CFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--as-needed $$(EXPAT_LIBS) \
		-Wl,--no-as-needed $$(BENCH_LIBS_$(1))
endef
$(foreach backend,$(BENCH_BACKENDS) $(TIMED_BACKENDS),$(eval $(call bench_backend,$(backend))))
.SECONDARY: $(foreach backend,$(BENCH_BACKENDS),$(patsubst %,$(BENCH_OBJ)/$(backend)/%.o,\
	$(BENCH_PROGRAMS) $(GBENCH_PARTS) $(BENCH_PARTS_$(backend))))

# Loaded into programs that are not rebuilt.
$(BENCH)/observe-bdw.so: benchmarks/observe-bdw.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BENCH_CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $< -ldl

$(BENCH)/guile-alloc.scm: benchmarks/guile-alloc.scm
	@mkdir -p $(@D)
	@cp $< $@

$(BENCH_OBJ)/%.o: benchmarks/%.c $(BUILD)/flags | $(INCLUDES)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(BENCH_CFLAGS) $(DEPEND) -c -o $@ $<

$(BUILD)/bin/gcdune-demo: $(addprefix $(BENCH_OBJ)/,demo.o demo-programs.o demo-run.o demo-report.o demo-page.o)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(CJSON_LIBS) -lm

DEMO_PROGRAMS += $(BENCH)/observe-bdw.so $(BENCH)/guile-alloc.scm \
	$(foreach program,$(DEMO_NAMES),$(foreach backend,$(filter-out boehm-current whippet,$(BENCH_BACKENDS)),$(BENCH)/$(program)-$(backend)))

# malloc from several threads, on whatever malloc is preloaded.
$(BENCH)/malloc-threads: benchmarks/malloc-threads.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BENCH_CFLAGS) -fno-builtin-malloc -fno-builtin-free $(LDFLAGS) -o $@ $<

# Programs that are not rebuilt on ours, glibc's malloc, mimalloc, jemalloc.
MALLOC_NAMES := binary-trees gcbench linked-list hash-map string-churn live-cache large-arrays $(if $(HAVE_EXPAT),xml-parse)
.PHONY: bench-malloc
bench-malloc: $(LIBRARIES) $(BENCH)/measure $(BENCH)/malloc-threads $(patsubst %,$(BENCH)/%-glibc,$(MALLOC_NAMES))
	benchmarks/malloc.py --rounds $(ROUNDS) $(if $(COLLECT),--collect) $(if $(PUBLISH),--publish) $(BUILD) $(MALLOC)

# Dune mode's micro-benchmarks: make bench-dune.
$(BUILD)/bench/dune-micro: benchmarks/dune-micro.c $(BUILD)/flags $(BUILD)/lib/libdune.so | $(INCLUDES)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(PROGRAM_CPPFLAGS) $(CPPFLAGS) $(PROGRAM_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(PROGRAM_LDFLAGS) $(LDFLAGS) -ldune
.PHONY: bench-dune
bench-dune: $(BUILD)/bench/dune-micro
	$(BUILD)/bench/dune-micro
# Debian's programs on Debian's libgc and on ours.
.PHONY: bench-dropin check-dropin check-others
ROUNDS := 5
RUNS := 20
bench-dropin: $(LIBRARIES) $(BENCH)/observe-bdw.so $(BENCH)/measure
	benchmarks/dropin.py --rounds $(ROUNDS) $(if $(FRESH),--fresh) $(if $(PUBLISH),--publish) $(if $(BOUND),--bound) $(BUILD) $(DROPIN)
check-dropin: $(LIBRARIES) $(BENCH)/measure
	benchmarks/dropin.py --check $(RUNS) $(BUILD) $(DROPIN)
check-others: $(LIBRARIES)
	benchmarks/dropin-others.sh $(BUILD) $(OTHERS)

# ---- The suite: make bench, bench-quick, bench-compare (docs/benchmarks.md) -------------------------------------------

$(BENCH)/measure: benchmarks/measure.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BENCH_CFLAGS) $(LDFLAGS) -o $@ $<

# What is missing here is left out, and the results say so.
SUITE_MISSING := $(if $(HAVE_BDWGC),,boehm) $(if $(HAVE_JEMALLOC),,jemalloc) $(if $(HAVE_MIMALLOC),,mimalloc)
SUITE_BACKENDS := $(filter-out $(SUITE_MISSING),$(BENCH_BACKENDS))
SUITE_NAMES := $(if $(HAVE_EXPAT),$(BENCH_PROGRAMS),$(filter-out xml-parse,$(BENCH_PROGRAMS)))

# gbench-BACKEND, gbench-dirty: micro-benchmarks on Google Benchmark, where it is installed. gbench.cc is the only C++.
GBENCH_BACKENDS := $(filter-out whippet,$(SUITE_BACKENDS))
$(BENCH_OBJ)/gbench.o: benchmarks/gbench.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CXX)
	$(Q)$(CXX) -std=c++17 $(OPTIMIZE) -g -pthread -fno-strict-aliasing $(SANITIZE) -Wall -Wextra -iquote benchmarks $(CPPFLAGS) \
		$(CFLAGS) $(DEPEND) -c -o $@ $<

# $(1) back end
define gbench_backend
$(BENCH)/gbench-$(1): $(GBENCH_PARTS:%=$(BENCH_OBJ)/$(1)/%.o) $(BENCH_OBJ)/gbench.o \
		$(BENCH_PARTS_$(1):%=$(BENCH_OBJ)/$(1)/%.o) $(BENCH_NEEDS_$(1))
	@mkdir -p $$(@D)
	$$(call say,LINK)
	$$(Q)$$(CXX) $$(OPTIMIZE) -pthread $$(SANITIZE) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) $$(BENCH_LIBS_$(1)) $$(BENCHMARK_LIBS)
endef
$(foreach backend,$(GBENCH_BACKENDS),$(eval $(call gbench_backend,$(backend))))

# With the library's own objects; libc's functions stay libc's, for the sources are called by hand.
$(BENCH)/gbench-dirty: benchmarks/micro-suite-dirty.c $(BENCH_OBJ)/gbench.o $(CORE_OBJECTS) $(BUILD)/flags | $(INCLUDES)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(BENCH_CFLAGS) -fvisibility=hidden $(DEPEND) -c -o $(BENCH_OBJ)/micro-suite-dirty.o $<
	$(Q)$(CXX) $(OPTIMIZE) -pthread $(SANITIZE) $(CFLAGS) $(LDFLAGS) -o $@ $(BENCH_OBJ)/micro-suite-dirty.o $(BENCH_OBJ)/gbench.o \
		$(CORE_OBJECTS) $(LIBS) $(BENCHMARK_LIBS)

ifneq ($(HAVE_BENCHMARK),)
GBENCH_PROGRAMS := $(GBENCH_BACKENDS:%=$(BENCH)/gbench-%) $(BENCH)/gbench-dirty
endif

SUITE_PROGRAMS := $(BENCH)/measure $(GBENCH_PROGRAMS) $(BENCH)/dune-micro $(BENCH)/observe-bdw.so \
	$(foreach backend,$(SUITE_BACKENDS),$(SUITE_NAMES:%=$(BENCH)/%-$(backend)))
.PHONY: suite-programs
suite-programs: $(LIBRARIES) $(SUITE_PROGRAMS)

# The suite takes twenty minutes, the quick one five; both go on where they were interrupted (FRESH=1: not).
# BENCH_FLAGS: options of benchmarks/bench.py run. BASE: the results file to compare with; NEW: another than the last.
NEW := $(BENCH)/results.json
.PHONY: suite-here suite-here-quick bench-compare bench-agree bench-report bench-publish
suite-here: suite-programs
	benchmarks/bench.py run --build $(BUILD) --compiler '$(CC)' $(if $(FRESH),--fresh) $(BENCH_FLAGS)
suite-here-quick: suite-programs
	benchmarks/bench.py run --size quick --build $(BUILD) --compiler '$(CC)' $(if $(FRESH),--fresh) $(BENCH_FLAGS)

# Parts of it: make bench-micro [ROUNDS=N]; what dirty sources cost, make bench-dirty; the longest stop with a large live
# cache, beside Boehm's collector, make bench-pauses [MIB=1024] [ROUNDS=3] [THREADS=1] [REPLACEMENTS=4096000].
.PHONY: bench-micro bench-dirty bench-pauses need-gbench
need-gbench:
	@test -n '$(HAVE_BENCHMARK)' || { echo 'This needs Google Benchmark (libbenchmark-dev, g++): make packages, as root, installs it' >&2; exit 1; }
bench-micro: need-gbench suite-programs
	benchmarks/bench.py run --groups micro --rounds $(or $(ROUNDS),5) --fresh --build $(BUILD) \
		--compiler '$(CC)' --out $(BENCH)/micro.json
# The kernel's sources, then those of Dune mode, or why not.
bench-dirty: need-gbench $(LIBRARIES) $(BUILD)/bin/dune-run $(BENCH)/gbench-dirty
	$(BENCH)/gbench-dirty
	@$(BUILD)/bin/dune-run --probe
	$(BUILD)/bin/dune-run $(BENCH)/gbench-dirty
bench-pauses: $(LIBRARIES) $(BENCH)/live-cache-gcdune $(BENCH)/live-cache-boehm $(BENCH)/observe-bdw.so $(BENCH)/measure
	benchmarks/bench.py pauses --build $(BUILD) --mib $(or $(MIB),1024) --rounds $(or $(ROUNDS),3) \
		--threads $(or $(THREADS),1) $(if $(REPLACEMENTS),--replacements $(REPLACEMENTS)) $(if $(BACKENDS),--backends $(BACKENDS))

# What tracking writes costs the program, and the longest that one allocation call takes: make bench-tracking, bench-longest
# [ROUNDS=N] [ONLY=a,b].
TRACKED := $(filter-out idle-heap,$(SUITE_NAMES))
TIMED := $(if $(HAVE_EXPAT),$(DEMO_NAMES),$(filter-out xml-parse,$(DEMO_NAMES)))
.PHONY: bench-tracking bench-longest
bench-tracking: $(LIBRARIES) $(BENCH)/measure $(TRACKED:%=$(BENCH)/%-gcdune) $(if $(HAVE_BENCHMARK),$(BENCH)/gbench-dirty)
	benchmarks/bench.py tracking --build $(BUILD) --rounds $(or $(ROUNDS),3) $(if $(ONLY),--programs $(ONLY))
bench-longest: $(LIBRARIES) $(BENCH)/measure $(foreach b,$(TIMED_BACKENDS),$(TIMED:%=$(BENCH)/%-$(b)))
	benchmarks/bench.py longest --build $(BUILD) --rounds $(or $(ROUNDS),5) $(if $(ONLY),--programs $(ONLY))

bench-compare:
	@test -n '$(BASE)' || { echo 'usage: make bench-compare BASE=results.json [NEW=results.json]' >&2; exit 2; }
	@benchmarks/bench.py compare $(if $(ALL),--all) '$(BASE)' '$(NEW)'
# Of two runs of the same binaries: whether they repeat each other.
bench-agree:
	@test -n '$(BASE)' || { echo 'usage: make bench-agree BASE=results.json [NEW=results.json]' >&2; exit 2; }
	@benchmarks/bench.py agree '$(BASE)' '$(NEW)'
bench-report:
	benchmarks/bench.py report '$(NEW)'
# What the README cites and shows: the results of the last run become docs/results.json, its page and its picture.
bench-publish:
	cp '$(NEW)' docs/results.json
	benchmarks/bench.py report docs/results.json

# What the tests of the suite run: with what make check installs, and in its first variant only.
ifeq ($(VARIANT),gcc)
SUITE_TESTED := $(filter-out xml-parse,$(BENCH_PROGRAMS))
tests: $(BENCH)/measure $(BENCH)/observe-bdw.so $(patsubst %,$(BENCH)/%-gcdune,$(SUITE_TESTED)) \
	$(patsubst %,$(BENCH)/%-glibc,$(SUITE_TESTED)) $(if $(HAVE_BDWGC),$(patsubst %,$(BENCH)/%-boehm,$(SUITE_TESTED))) \
	$(TIMED_BACKENDS:%=$(BENCH)/hash-map-%) $(if $(HAVE_BENCHMARK),$(BENCH)/gbench-gcdune $(BENCH)/gbench-glibc $(BENCH)/gbench-dirty)
endif

# The table of the OSDI 2012 paper: dirty sources by what they cost real programs: make bench-sources [ROUNDS=3].
.PHONY: bench-sources
bench-sources: $(LIBRARIES) $(patsubst %,$(BENCH)/%-gcdune,gcbench linked-list hash-map xml-parse)
	benchmarks/sources.py $(BUILD) $(or $(ROUNDS),3)
