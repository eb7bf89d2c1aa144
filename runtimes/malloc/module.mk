# module.mk - libgcdune-malloc.so: malloc's functions for LD_PRELOAD or linking, with all of gcdune in it.

MALLOC_OBJECTS := $(call objects,$(sort $(wildcard runtimes/malloc/*.c)))
LIBRARIES += $(if $(SANITIZE),,$(BUILD)/lib/libgcdune-malloc.so)

# No builtin: a compiler that knows malloc and memset would make calloc call calloc.
$(MALLOC_OBJECTS): LIB_CFLAGS += -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free

$(BUILD)/lib/libgcdune-malloc.so: $(CORE_OBJECTS) $(MALLOC_OBJECTS) runtimes/malloc/libgcdune-malloc.map
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script,runtimes/malloc/libgcdune-malloc.map $(CFLAGS) $(LDFLAGS) \
		-o $@ $(CORE_OBJECTS) $(MALLOC_OBJECTS) $(LIBS)
