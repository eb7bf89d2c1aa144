/* cpuid.c - what the CPUID instruction says in the guest.
 *
 * KVM reads it twice. It takes from it what the guest may set up: the parts of XCR0, the bits of CR4 and EFER, the width
 * of physical addresses. And where the processor virtualizes, CPUID in ring 3 exits to KVM, which answers from it; there
 * it has to be all that KVM supports, as programs look at all of it.
 *
 * A software KVM runs ring 3 natively, CPUID included, so the first use is the only one. There KVM's whole table is
 * expensive: that processor is itself virtual, each of its 75 CPUID instructions exits to the host below, and they took
 * 0.30 ms of 1.26 that entering took. So a table of what is set up is made here instead, of what every x86-64 processor
 * with XSAVE has. A processor that virtualizes and hides it would not do with that: KVM refuses the vCPU, with a message.
 *
 * The table is static and stays: a child gives it to its own vCPUs. Called by vm.c, while there is one thread. */
#include <cpuid.h>

#include "monitor.h"

#define VMX (1u << 5)	   /* 1, ecx */
#define SVM (1u << 2)	   /* 0x80000001, ecx */
#define XSAVE (1u << 26)   /* 1, ecx; with it OSXSAVE, which KVM sets itself */
#define TILES (3u << 17)   /* XCR0: AMX; needs a permission that nobody asked for */
#define WIDTHS 0xff	   /* 0x80000008, eax: physical addresses */
/* 1, edx: FPU DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX FXSR SSE SSE2 */
#define BASE_EDX 0x078bfbffu
#define BASE_ECX (XSAVE | 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20) /* SSE3 SSSE3 CX16 SSE4.1 SSE4.2 */
#define EXTENDED_EDX (1u << 11 | 1u << 20 | 1u << 29)			       /* SYSCALL NX LM */

/* struct kvm_cpuid2, with room for what follows it. */
static struct {
	uint32_t nent, padding;
	struct kvm_cpuid_entry2 entries[160];
} table;
_Static_assert(offsetof(struct kvm_cpuid2, entries) == 8, "KVM's structure");

static struct kvm_cpuid_entry2 leaf(uint32_t function)
{
	struct kvm_cpuid_entry2 e = { .function = function };

	__cpuid_count(function, 0, e.eax, e.ebx, e.ecx, e.edx);
	return e;
}

static void add(struct kvm_cpuid_entry2 e)
{
	table.entries[table.nent++] = e;
}

/* What is set up in the guest, and what KVM needs to know for that. */
static void make(struct kvm_cpuid_entry2 one, struct kvm_cpuid_entry2 extended)
{
	struct kvm_cpuid_entry2 zero = leaf(0), states = leaf(0xd), widths = leaf(0x80000008);

	zero.eax = MIN(zero.eax, 0xdu);
	add(zero);
	one.ecx &= BASE_ECX;
	one.edx &= BASE_EDX;
	add(one);
	states.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	states.eax &= ~TILES;
	add(states);
	add((struct kvm_cpuid_entry2){ .function = 0x80000000, .eax = 0x80000008 });
	extended.ecx = 1; /* LAHF in 64-bit mode */
	extended.edx &= EXTENDED_EDX;
	add(extended);
	add(widths);
}

int cpuid_init(char *why, size_t size)
{
	struct kvm_cpuid_entry2 one = leaf(1), extended = leaf(0x80000001);
	uint32_t a, d, bits = 36;
	long error;

	if (!(one.ecx & XSAVE) || !(one.ecx & XSAVE << 1)) {
		format(why, size, "this processor has no XSAVE");
		return -ENOTSUP;
	}
	table.nent = 0;
	if (one.ecx & VMX || extended.ecx & SVM) {
		table.nent = sizeof(table.entries) / sizeof(*table.entries);
		error = SYS3(ioctl, dune.kvm, KVM_GET_SUPPORTED_CPUID, &table);
		if (error < 0) {
			format(why, size, "KVM_GET_SUPPORTED_CPUID failed with error %ld", -error);
			return (int)error;
		}
	} else {
		make(one, extended);
	}
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	dune.xcr0 = (uint64_t)d << 32 | a;
	for (const struct kvm_cpuid_entry2 *e = table.entries; e < table.entries + table.nent; e++) {
		if (e->function == 0x80000008)
			bits = e->eax & WIDTHS;
		/* Less than the processor's where a state needs a permission (AMX). */
		if (e->function == 0xd && !e->index)
			dune.xcr0 &= (uint64_t)e->edx << 32 | e->eax;
	}
	dune.gpa_end = 1UL << MIN(bits, 46U);
	return 0;
}

long cpuid_give(struct vcpu *v)
{
	return SYS3(ioctl, v->fd, KVM_SET_CPUID2, &table);
}
