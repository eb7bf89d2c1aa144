# module.mk - builds libdune and dune-run.
#
# Never with a sanitizer: the monitor runs on threads whose TLS is the program's, and a sanitizer's code would use it; the
# same goes for stack protectors. No builtin that becomes a call of libc's is used where that matters (monitor.h).

DUNE_SOURCES := $(filter-out dune-core/dune-run.c,$(sort $(wildcard dune-core/*.c dune-core/*.S)))
DUNE_OBJECTS := $(call objects,$(DUNE_SOURCES))
$(DUNE_OBJECTS): dune-core/module.mk
$(DUNE_OBJECTS): private LIB_CFLAGS := $(filter-out $(SANITIZE),$(LIB_CFLAGS)) -fno-stack-protector -fcf-protection=none
$(BUILD)/lib/libdune.so.0: private LIB_LDFLAGS := $(filter-out $(SANITIZE),$(LIB_LDFLAGS)) -Wl,-z,defs

LIBRARIES += $(BUILD)/lib/libdune.so.0 $(BUILD)/lib/libdune.so $(BUILD)/lib/libdune.a
DUNE_PROGRAMS := $(BUILD)/bin/dune-run

# initfirst: dune-run's programs enter before anybody's constructor.
$(BUILD)/lib/libdune.so.0: $(DUNE_OBJECTS) dune-core/libdune.map
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LIB_LDFLAGS) -Wl,-z,initfirst -Wl,-soname,$(@F) -Wl,--version-script,dune-core/libdune.map $(CFLAGS) \
		$(LDFLAGS) -o $@ $(DUNE_OBJECTS)

$(BUILD)/lib/libdune.so: $(BUILD)/lib/libdune.so.0
	@ln -sfn libdune.so.0 $@

$(BUILD)/lib/libdune.a: $(DUNE_OBJECTS)
	$(call say,AR)
	@mkdir -p $(@D)
	$(Q)$(CC) $(OPTIMIZE) $(CFLAGS) $(RELOCATABLE) -r -nostdlib -o $(BUILD)/obj/dune.o $(DUNE_OBJECTS)
	$(Q)$(OBJCOPY) --localize-hidden $(BUILD)/obj/dune.o
	@rm -f $@
	$(Q)$(AR) rcs $@ $(BUILD)/obj/dune.o

$(BUILD)/bin/dune-run: dune-core/dune-run.c $(BUILD)/flags $(BUILD)/lib/libdune.so | $(INCLUDES)
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(PROGRAM_CPPFLAGS) $(CPPFLAGS) $(PROGRAM_CFLAGS) $(CFLAGS) -MMD -MP -MF $@.d -o $@ $< \
		$(PROGRAM_LDFLAGS) $(LDFLAGS) -ldune -Wl,-rpath,$(libdir)
