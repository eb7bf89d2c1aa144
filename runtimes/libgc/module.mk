# module.mk - what goes with libgc.so.1: libgccpp.so.1 and libgctba.so.1 (C++), libcord.so.1 (ropes). They are separate
# libraries with Boehm's names, on top of the interface in gc.h.

GCCPP_CFLAGS = $(BASE_CFLAGS) -fPIC -fvisibility=hidden
CORD_OBJECTS := $(call objects,$(sort $(wildcard runtimes/libgc/cord/*.c)))
SATELLITES := $(BUILD)/lib/libgccpp.so.1 $(BUILD)/lib/libgctba.so.1 $(BUILD)/lib/libcord.so.1
LIBRARIES += $(SATELLITES)

# std::bad_alloc is thrown by libstdc++, which every program that loads these has; its name is looked up then.
$(BUILD)/lib/libgccpp.so.1: runtimes/libgc/cpp/gccpp.c $(BUILD)/lib/libgc.so.1 $(BUILD)/flags
	$(call say,LINK)
	$(Q)$(CC) $(LIB_CPPFLAGS) $(CPPFLAGS) $(GCCPP_CFLAGS) $(CFLAGS) -MMD -MP -MF $(BUILD)/obj/gccpp.d -shared \
		-Wl,-soname,$(@F) -Wl,-z,relro -Wl,-z,now -Wl,-rpath,'$$ORIGIN' -o $@ $< -L$(BUILD)/lib -l:libgc.so.1 $(LDFLAGS)

$(BUILD)/lib/libgctba.so.1: runtimes/libgc/cpp/gccpp.c $(BUILD)/flags
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_CPPFLAGS) $(CPPFLAGS) $(GCCPP_CFLAGS) $(CFLAGS) -DGCCPP_ONLY_THROW -shared \
		-Wl,-soname,$(@F) -Wl,-z,relro -Wl,-z,now -o $@ $< $(LDFLAGS)

# Exports what cord.h and ec.h declare: these have no other visibility than the default.
$(CORD_OBJECTS): LIB_CFLAGS += -fvisibility=default -Wno-redundant-decls
$(BUILD)/lib/libcord.so.1: $(CORD_OBJECTS) $(BUILD)/lib/libgc.so.1 runtimes/libgc/cord/libcord.map
	$(call say,LINK)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro -Wl,-z,now -Wl,-rpath,'$$ORIGIN' \
		-Wl,--version-script,runtimes/libgc/cord/libcord.map -o $@ $(CORD_OBJECTS) -L$(BUILD)/lib -l:libgc.so.1
