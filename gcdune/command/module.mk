# module.mk - the command gcdune(1), linked with the library's objects: probe looks at what the library does not export.

COMMAND_OBJECTS := $(call objects,$(sort $(wildcard gcdune/command/*.c)))
PROGRAMS += $(BUILD)/bin/gcdune

# The functions of libc that the library stands in front of stay libc's in the command, and it enters Dune mode only to
# probe it.
$(BUILD)/bin/gcdune: $(COMMAND_OBJECTS) $(CORE_OBJECTS)
	$(call say,LINK)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(COMMAND_OBJECTS) \
		$(filter-out %/intercept-signal.o %/dirty/load.o,$(CORE_OBJECTS)) -lm $(LIBS)
