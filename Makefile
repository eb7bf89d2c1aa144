# Makefile - builds, tests and installs gcdune. `make help` names the targets.
#
# Every output goes to $(BUILD); a build with another compiler or other flags is the same rules with another BUILD, for
# example `make BUILD=build/clang CC=clang`. What configure found is in build/config.mk and the same for all of them.
# Sources are found by wildcard. A part of the tree with rules of its own puts them into its module.mk.

BUILD := build
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
TOP := $(CURDIR)
ABSBUILD := $(abspath $(BUILD))

# ---- Targets that set the machine up, run other makes, or need no compiler at all -------------------------------------

OUTER := deb check check-gcc check-clang check-asan check-tsan check-O0 check-lto demo bench bench-quick soak soak-dune packages clean distclean \
	 format-check help
.PHONY: all $(OUTER)
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

# A make under this one: with as many jobs as there are processors unless -j said otherwise.
SUBMAKE = +@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc))
PACKAGES = @test/install-packages --stamp build/packages

# The variants that make up the check; test/run knows them by name. A library that does not compile ends its variant, a
# test that does not compile is one failure.
CHECKS := gcc clang asan tsan O0 lto
CHECK_gcc := BUILD=build WERROR=-Werror
CHECK_clang := BUILD=build/clang CC=clang WERROR=-Werror
CHECK_asan := BUILD=build/asan OPTIMIZE=-O1 \
	SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
CHECK_tsan := BUILD=build/tsan OPTIMIZE=-O1 SANITIZE="-fsanitize=thread -fno-omit-frame-pointer"
CHECK_O0 := BUILD=build/O0 OPTIMIZE=-O0
CHECK_lto := BUILD=build/lto OPTIMIZE="-O3 -flto=auto" RELOCATABLE=-flinker-output=nolto-rel

check:
	$(PACKAGES) build check
	@rm -f build/check.*
	+@for variant in $(CHECKS); do \
		$(MAKE) --no-print-directory check-$$variant || touch build/check.$$variant.failed; \
	done
	@test/run --sum $(foreach v,$(CHECKS),$(v):$(patsubst BUILD=%,%,$(firstword $(CHECK_$(v)))))

$(CHECKS:%=check-%): check-%:
	$(PACKAGES) build check
	@rm -f $(patsubst BUILD=%,%,$(firstword $(CHECK_$*)))/test/results
	$(SUBMAKE) $(CHECK_$*) VARIANT=$* all
	$(SUBMAKE) -k $(CHECK_$*) VARIANT=$* WERROR= tests || true
	+@$(MAKE) --no-print-directory $(CHECK_$*) VARIANT=$* run-tests

demo:
	$(PACKAGES) build demo
	$(SUBMAKE) all demo-programs
	+@$(MAKE) --no-print-directory demo-here

bench bench-quick:
	$(PACKAGES) build bench
	$(SUBMAKE) all suite-programs
	+@$(MAKE) --no-print-directory $(@:bench%=suite-here%)

soak:
	$(PACKAGES) build
	$(SUBMAKE) test-libs build/test/soak
	build/test/soak $(SOAK_SECONDS)
SOAK_SECONDS := 180

# The thread, fork and signal tests of Dune mode, REPEAT times; then the same under QEMU, where that is installed.
soak-dune:
	$(PACKAGES) build
	$(SUBMAKE) tests
	BUILD='$(ABSBUILD)' test/soak-dune $(REPEAT)
	BUILD='$(ABSBUILD)' test/soak-dune --qemu $(REPEAT)
REPEAT := 200

packages:
	$(PACKAGES) build check demo bench

# Debian packages, into build/deb. Each is what make install puts somewhere, divided; dpkg-deb is all it needs.
deb:
	$(PACKAGES) build
	+@BUILD='$(ABSBUILD)' MAKE='$(MAKE)' runtimes/make-deb

# Only BUILD's own parts, so that build/config.mk and the other variants stay.
clean:
	rm -rf $(addprefix $(BUILD)/,bench bin demo flags include lib obj test)

distclean:
	rm -rf build configure configure~ config.log config.status autom4te.cache

format-check:
	clang-format --dry-run -Werror $(wildcard gcdune/*.[ch] gcdune/*/*.[ch] dune-core/*.[ch] runtimes/*/*.[ch] \
		benchmarks/*.[ch] test/*.[ch])

help:
	@echo 'make                the libraries, into build/lib, and what is in build/bin'
	@echo 'make demo           installs what is missing (as root), compares with other allocators'
	@echo 'make check          installs what is missing (as root), builds and tests in all variants'
	@echo 'make check-VARIANT  one of them: $(CHECKS)'
	@echo 'make check-here     the tests on $$(BUILD) only; TESTS="alloc fork" picks by name'
	@echo 'make bench          the whole suite, 20 minutes: build/bench/results.html'
	@echo 'make bench-quick    the same in five minutes, with small programs'
	@echo 'make bench-compare BASE=file   what changed since those results; fails if gcdune got worse'
	@echo 'make bench-agree BASE=file     whether two runs of the same binaries repeat each other'
	@echo 'make bench-tracking, make bench-longest   what tracking costs; the longest allocation call'
	@echo 'make bench-dropin   Debian programs that use libgc, on its library and on ours; ROUNDS=5, PUBLISH=1 into docs/'
	@echo 'make check-dropin   the same RUNS=20 times on ours, for their output only; DROPIN="ecl nix" picks by name'
	@echo 'make check-others   small jobs of 25 other programs of Debian, those that are installed, on both; OTHERS="inkscape mpb"'
	@echo 'make bench-malloc   programs on libgcdune-malloc.so, glibc, mimalloc and jemalloc; ROUNDS=5, COLLECT=1, MALLOC="perl gcc", PUBLISH=1'
	@echo 'make soak           runs the soak test for SOAK_SECONDS=$(SOAK_SECONDS)'
	@echo "make soak-dune      Dune mode's thread, fork and signal tests REPEAT=$(REPEAT) times, and under QEMU"
	@echo 'make install        to prefix (/usr/local) below DESTDIR; make uninstall takes it away'
	@echo 'make deb            Debian packages, into build/deb'
	@echo 'make packages       installs every Debian package that any of these needs'
	@echo 'make clean, make distclean, make format-check'
	@echo 'Variables: BUILD CC CFLAGS CPPFLAGS LDFLAGS OPTIMIZE SANITIZE WERROR prefix libdir DESTDIR V=1'

# ---- All else needs the configuration ---------------------------------------------------------------------------------

ifneq ($(filter-out $(OUTER),$(or $(MAKECMDGOALS),all)),)

# A CC on the command line hides the one that configure chose; make's built-in one does not.
include build/config.mk

configure: configure.ac gcdune/gcdune.h
	@test/install-packages --check build
	autoconf
	@rm -rf autom4te.cache configure~

# build/packages is touched when packages were installed: what configure finds may have changed. A configuration made by
# hand keeps its options.
build/config.mk: configure gcdune/config.mk.in gcdune/config.h.in $(wildcard build/packages)
	@test/install-packages --check build
	@if [ -x config.status ]; then ./config.status --recheck >build/configure.out && ./config.status; \
	else mkdir -p build && ./configure >build/configure.out; fi || { cat build/configure.out; exit 1; }
	@touch $@

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' $(1) $(patsubst $(TOP)/%,%,$@))

OPTIMIZE := -O2
CFLAGS := $(CONFIG_CFLAGS)
LDFLAGS := $(CONFIG_LDFLAGS)
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith \
	-Wwrite-strings -Wundef -Wvla -Wformat=2 -Wno-unused-parameter $(WERROR)

# What every C file of this tree is compiled with. -fexceptions: a thread may be cancelled, or a C++ exception thrown,
# through our frames (pthread_create's wrapper, gcdune_blocking_call). -fno-strict-aliasing: a collector sees the same
# words as pointers, as bytes and as links of its free lists.
BASE_CFLAGS := -std=gnu17 $(OPTIMIZE) -g -pthread -fexceptions -fno-strict-aliasing $(SANITIZE) $(WARNINGS)
BASE_CPPFLAGS := -D_GNU_SOURCE= -iquote build
# The library's own. Initial-exec TLS: one instruction instead of a call to find a thread's state, at the price of a
# few bytes of the static TLS reserve if somebody loads us by dlopen.
LIB_CFLAGS := $(BASE_CFLAGS) -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
LIB_CPPFLAGS := $(BASE_CPPFLAGS) -iquote gcdune -iquote dune-core -I$(BUILD)/include -Iruntimes/libgc/include
# nodelete: signal, fork and thread-exit handlers point into the library for as long as the process lives.
LIB_LDFLAGS := $(BASE_CFLAGS) -shared -Wl,-z,nodelete -Wl,-z,relro -Wl,-z,now -Wl,-Bsymbolic-functions \
	$(if $(SANITIZE),,-Wl,-z,defs)
# Programs of the tree find the libraries beside them, wherever the tree is.
PROGRAM_CFLAGS := $(BASE_CFLAGS)
PROGRAM_CPPFLAGS := $(BASE_CPPFLAGS) -I$(BUILD)/include
PROGRAM_LDFLAGS := $(BASE_CFLAGS) -L$(BUILD)/lib -Wl,-rpath,'$$ORIGIN/../lib'
DEPEND = -MMD -MP -MF $(@:.o=).d

# ---- The libraries ----------------------------------------------------------------------------------------------------

CORE_SOURCES := $(sort $(wildcard gcdune/*.c gcdune/dirty/*.c))
LIBGC_SOURCES := $(sort $(wildcard runtimes/libgc/*.c))
objects = $(addsuffix .o,$(basename $(addprefix $(BUILD)/obj/,$(1))))
CORE_OBJECTS := $(call objects,$(CORE_SOURCES))
# A program made for Boehm's library calls GC_pthread_create and its kin; libc's own names stay libc's there.
LIBGC_OBJECTS := $(filter-out %/gcdune/intercept.o %/gcdune/intercept-signal.o %/gcdune/intercept-exec.o,$(CORE_OBJECTS)) $(call objects,$(LIBGC_SOURCES))

PUBLIC_HEADERS := $(wildcard gcdune/gcdune.h gcdune/gcdune-inline.h)
DUNE_HEADERS := $(wildcard dune-core/dune.h)
LIBGC_HEADERS := $(wildcard runtimes/libgc/include/gc/*.h)
INCLUDES := $(PUBLIC_HEADERS:gcdune/%=$(BUILD)/include/%) $(DUNE_HEADERS:dune-core/%=$(BUILD)/include/%)

LIBRARIES := $(BUILD)/lib/libgcdune.so.0 $(BUILD)/lib/libgcdune.so $(BUILD)/lib/libgcdune.a
ifneq ($(LIBGC_SOURCES),)
LIBRARIES += $(BUILD)/lib/libgc.so.1
endif

# Links, not copies, so that a program that is compiled here sees the header being edited.
$(BUILD)/include/%.h: gcdune/%.h
	@mkdir -p $(@D)
	@ln -sfn $(TOP)/$< $@

$(BUILD)/include/%.h: dune-core/%.h
	@mkdir -p $(@D)
	@ln -sfn $(TOP)/$< $@

# Rewritten only when the flags change, and then everything is compiled again.
FLAGS := $(filter-out -Werror,$(CC) $(LIB_CPPFLAGS) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) $(LDFLAGS))
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo $(call quoted,$(FLAGS)) | cmp -s - $@ || echo $(call quoted,$(FLAGS)) >$@
quoted = '$(subst ','\'',$(1))'
FORCE:
.PHONY: FORCE

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(INCLUDES)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_CPPFLAGS) $(CPPFLAGS) $(LIB_CFLAGS) $(CFLAGS) $(DEPEND) -c -o $@ $<

$(BUILD)/obj/%.o: %.S $(BUILD)/flags | $(INCLUDES)
	$(call say,AS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_CPPFLAGS) $(CPPFLAGS) $(SANITIZE) -g $(DEPEND) -c -o $@ $<

$(BUILD)/lib/libgcdune.so.0: $(CORE_OBJECTS) gcdune/libgcdune.map
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script,gcdune/libgcdune.map $(CFLAGS) $(LDFLAGS) \
		-o $@ $(CORE_OBJECTS) $(LIBS)

$(BUILD)/lib/libgcdune.so: $(BUILD)/lib/libgcdune.so.0
	@ln -sfn libgcdune.so.0 $@

# One relocatable object whose hidden names are made local: a program's own block_alloc or heap_init cannot clash with
# the library's.
$(BUILD)/lib/libgcdune.a: $(CORE_OBJECTS)
	$(call say,AR)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPTIMIZE) $(CFLAGS) $(RELOCATABLE) -r -nostdlib -o $(BUILD)/obj/gcdune.o $(CORE_OBJECTS)
	$(Q)$(OBJCOPY) --localize-hidden $(BUILD)/obj/gcdune.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(BUILD)/obj/gcdune.o

$(BUILD)/lib/libgc.so.1: $(LIBGC_OBJECTS) $(wildcard runtimes/libgc/libgc.map)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script,runtimes/libgc/libgc.map $(CFLAGS) $(LDFLAGS) \
		-o $@ $(LIBGC_OBJECTS) $(LIBS)

include dune-core/module.mk

# ---- Tests ------------------------------------------------------------------------------------------------------------
#
# test/test-*.c, test/soak.c and other programs become $(BUILD)/test/NAME; test/lib-*.c become shared objects for tests
# that load some. TEST-FLAGS in a source (CONTRIBUTING.md) choose what it is linked with.

TEST_SOURCES := $(sort $(wildcard test/*.c))
TEST_LIB_SOURCES := $(filter test/lib-%,$(TEST_SOURCES))
TEST_PROGRAMS := $(patsubst test/%.c,$(BUILD)/test/%,$(filter-out test/lib-%,$(TEST_SOURCES)))
TEST_LIBS := $(patsubst test/%.c,$(BUILD)/test/%.so,$(TEST_LIB_SOURCES))
flagged = $(if $(TEST_SOURCES),$(patsubst test/%.c,$(BUILD)/test/%$(2),$(shell grep -lsE 'TEST-FLAGS:.*\<$(1)\>' $(TEST_SOURCES))))
TEST_STATIC := $(call flagged,static=yes,.static)
TEST_SHORT := $(call flagged,short=yes)
TEST_LIBGC := $(call flagged,link=libgc)
TEST_INTERNAL := $(call flagged,link=internal)
TEST_DUNE := $(call flagged,link=dune)

.PHONY: tests test-libs check-here run-tests
test-libs: $(TEST_LIBS)
VARIANT := $(if $(findstring clang,$(CC)),clang,gcc)
ifneq ($(filter O0 lto,$(VARIANT)),)
tests: $(TEST_SHORT) $(TEST_LIBS)
else
tests: $(TEST_PROGRAMS) $(TEST_STATIC) $(TEST_LIBS)
endif

TESTS :=
check-here: all tests run-tests
# Not a prerequisite's job: make check goes on to this when a test did not compile.
run-tests: $(if $(filter check-here,$(MAKECMDGOALS)),all tests)
	@CC='$(CC)' BUILD='$(ABSBUILD)' VARIANT=$(VARIANT) test/run $(TESTS)

TEST_EXTRA := -Wl,--as-needed $(CMOCKA_LIBS) -lm -ldl $(LIBS)
$(TEST_PROGRAMS): TEST_LINK = -lgcdune
$(TEST_PROGRAMS): TEST_NEEDS =
$(TEST_LIBGC): TEST_LINK = -l:libgc.so.1
$(TEST_LIBGC): PROGRAM_CPPFLAGS += -Iruntimes/libgc/include
$(TEST_LIBGC): $(BUILD)/lib/libgc.so.1
$(TEST_DUNE): TEST_LINK = -ldune
$(TEST_DUNE): $(BUILD)/lib/libdune.so
$(TEST_INTERNAL): TEST_LINK = $(CORE_OBJECTS)
$(TEST_INTERNAL): PROGRAM_CPPFLAGS += -iquote gcdune -iquote dune-core

$(BUILD)/test/%: test/%.c $(BUILD)/lib/libgcdune.so $(BUILD)/flags | $(INCLUDES)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROGRAM_CPPFLAGS) $(CPPFLAGS) $(PROGRAM_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(PROGRAM_LDFLAGS) $(LDFLAGS) $(TEST_LINK) $(TEST_EXTRA)

$(BUILD)/test/%.static: test/%.c $(BUILD)/lib/libgcdune.a $(BUILD)/flags | $(INCLUDES)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROGRAM_CPPFLAGS) $(CPPFLAGS) $(PROGRAM_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(PROGRAM_LDFLAGS) $(LDFLAGS) -l:libgcdune.a $(TEST_EXTRA)

$(BUILD)/test/lib-%.so: test/lib-%.c $(BUILD)/lib/libgcdune.so $(BUILD)/flags | $(INCLUDES)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROGRAM_CPPFLAGS) $(CPPFLAGS) $(PROGRAM_CFLAGS) -fPIC $(CFLAGS) -MMD -MP -MF $@.d -shared -o $@ $< \
		$(PROGRAM_LDFLAGS) $(LDFLAGS) -Wl,--as-needed -lgcdune

# ---- Benchmarks, runtimes, and what goes to build/bin -----------------------------------------------------------------
#
# A module.mk adds to PROGRAMS what plain make builds besides the libraries, and to DEMO_PROGRAMS what only make demo
# needs.

PROGRAMS := $(DUNE_PROGRAMS)
DEMO_PROGRAMS := $(BUILD)/bin/gcdune-demo
-include benchmarks/module.mk
-include gcdune/command/module.mk
-include runtimes/libgc/module.mk
-include runtimes/malloc/module.mk

all: $(LIBRARIES) $(INCLUDES) $(PROGRAMS)

.PHONY: demo-programs demo-here
demo-programs: $(LIBRARIES) $(DEMO_PROGRAMS)
demo-here: demo-programs
	$(BUILD)/bin/gcdune-demo

# ---- Install ----------------------------------------------------------------------------------------------------------

PKGCONFIGDIR := $(libdir)/pkgconfig
COMPLETIONS := $(datarootdir)/bash-completion/completions
# What takes other libraries' places is in a directory of its own, where nothing finds it unasked.
DROPIN_LIBS := $(patsubst $(BUILD)/lib/%,%,$(filter %/libgc.so.1 %/libgcdune-malloc.so $(SATELLITES),$(LIBRARIES)))
MAN_PAGES := $(wildcard docs/man/*.[1-8])
man_dir = $(mandir)/man$(subst .,,$(suffix $(1)))

.PHONY: install uninstall
install: all
	install -d $(DESTDIR)$(libdir)/gcdune $(DESTDIR)$(PKGCONFIGDIR) $(DESTDIR)$(includedir)/gcdune/gc
	install -m 755 $(BUILD)/lib/libgcdune.so.0 $(DESTDIR)$(libdir)/
	ln -sfn libgcdune.so.0 $(DESTDIR)$(libdir)/libgcdune.so
	install -m 644 $(BUILD)/lib/libgcdune.a $(DESTDIR)$(libdir)/
	install -m 644 $(PUBLIC_HEADERS) $(DUNE_HEADERS) $(DESTDIR)$(includedir)/
	install -D -m 755 $(BUILD)/bin/dune-run $(DESTDIR)$(bindir)/dune-run
	install -m 755 $(BUILD)/lib/libdune.so.0 $(DESTDIR)$(libdir)/
	ln -sfn libdune.so.0 $(DESTDIR)$(libdir)/libdune.so
	install -m 644 $(BUILD)/lib/libdune.a $(DESTDIR)$(libdir)/
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
		-e 's|@VERSION@|$(VERSION)|' dune-core/dune.pc.in >$(DESTDIR)$(PKGCONFIGDIR)/dune.pc
	chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/dune.pc
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@LIBS@|$(LIBS)|' gcdune/gcdune.pc.in >$(DESTDIR)$(PKGCONFIGDIR)/gcdune.pc
	chmod 644 $(DESTDIR)$(PKGCONFIGDIR)/gcdune.pc
	install -D -m 755 $(BUILD)/bin/gcdune $(DESTDIR)$(bindir)/gcdune
	install -D -m 644 gcdune/command/gcdune.bash-completion $(DESTDIR)$(COMPLETIONS)/gcdune
	install -d $(DESTDIR)$(libdir)/gcdune/pkgconfig
	$(foreach lib,$(DROPIN_LIBS),install -m 755 $(BUILD)/lib/$(lib) $(DESTDIR)$(libdir)/gcdune/$(newline)	)
	$(foreach lib,$(filter %.so.1,$(DROPIN_LIBS)),ln -sfn $(lib) $(DESTDIR)$(libdir)/gcdune/$(lib:.so.1=.so)$(newline)	)
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' -e 's|@includedir@|$(includedir)|' \
		runtimes/libgc/bdw-gc.pc.in >$(DESTDIR)$(libdir)/gcdune/pkgconfig/bdw-gc.pc
	chmod 644 $(DESTDIR)$(libdir)/gcdune/pkgconfig/bdw-gc.pc
	install -m 644 $(LIBGC_HEADERS) $(DESTDIR)$(includedir)/gcdune/gc/
	install -m 644 $(wildcard runtimes/libgc/include/*.h) $(DESTDIR)$(includedir)/gcdune/
	$(foreach page,$(MAN_PAGES),install -D -m 644 $(page) $(DESTDIR)$(call man_dir,$(page))/$(notdir $(page))$(newline)	)
define newline


endef

uninstall:
	rm -f $(DESTDIR)$(bindir)/dune-run $(DESTDIR)$(PKGCONFIGDIR)/dune.pc $(DESTDIR)$(includedir)/dune.h \
		$(addprefix $(DESTDIR)$(libdir)/,libdune.so.0 libdune.so libdune.a) \
		$(addprefix $(DESTDIR)$(libdir)/,libgcdune.so.0 libgcdune.so libgcdune.a \
		$(foreach lib,$(DROPIN_LIBS),gcdune/$(lib) gcdune/$(lib:.so.1=.so)) gcdune/pkgconfig/bdw-gc.pc) \
		$(DESTDIR)$(bindir)/gcdune $(DESTDIR)$(COMPLETIONS)/gcdune \
		$(addprefix $(DESTDIR)$(includedir)/gcdune/,$(notdir $(wildcard runtimes/libgc/include/*.h))) \
		$(addprefix $(DESTDIR)$(includedir)/,$(notdir $(PUBLIC_HEADERS))) \
		$(addprefix $(DESTDIR)$(includedir)/gcdune/gc/,$(notdir $(LIBGC_HEADERS))) \
		$(DESTDIR)$(PKGCONFIGDIR)/gcdune.pc \
		$(foreach page,$(MAN_PAGES),$(DESTDIR)$(call man_dir,$(page))/$(notdir $(page)))
	-rmdir $(DESTDIR)$(libdir)/gcdune/pkgconfig $(DESTDIR)$(libdir)/gcdune $(DESTDIR)$(includedir)/gcdune/gc $(DESTDIR)$(includedir)/gcdune

-include $(shell find $(BUILD)/obj $(BUILD)/test $(BUILD)/bin -name '*.d' 2>/dev/null)
endif
