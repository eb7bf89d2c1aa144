/* area.c - the area of a vCPU (layout.h), as the monitor writes it: the nucleus, its descriptor tables, and the words that
 * say which events go to handlers in the program.
 *
 * What changes while vCPUs run, changes in one aligned store, and in an order in which each state between is one that the
 * monitor deals with: events that find no handler come to it. Called by vm.c for a new vCPU, by syscall.c when the program
 * registers a handler. */
#include "monitor.h"

/* A segment descriptor: 64-bit code or data, at a privilege level. */
static uint64_t descriptor(bool code, unsigned dpl)
{
	return 0x00af000000000000UL | ((code ? 0x9bUL : 0x93UL) | dpl << 5) << 40;
}

/* What the nucleus goes to ring 3 with. */
static void prepare_frame(struct vcpu *v, unsigned offset, const char *to)
{
	uint64_t *frame = (uint64_t *)(v->area + AREA_DATA + offset);

	frame[0] = (uintptr_t)to;
	frame[1] = USER_CS;
	frame[2] = 0x2; /* no flags, so no interrupt flag either: nothing would interrupt */
	frame[3] = (uintptr_t)v->area + AREA_SIZE;
	frame[4] = USER_SS;
}

void area_write(struct vcpu *v)
{
	char *a = v->area, *data = a + AREA_DATA;
	uint64_t top;
	uint64_t *gdt = (uint64_t *)(data + DATA_GDT), tss = (uintptr_t)data + DATA_TSS;

	__builtin_memcpy(a, dune_nucleus, (size_t)(dune_nucleus_end - dune_nucleus));
	__builtin_memset(data, 0, PAGE);
	gdt[KERNEL_CS / 8] = descriptor(true, 0);
	gdt[KERNEL_SS / 8] = descriptor(false, 0);
	gdt[USER_SS / 8] = descriptor(false, 3);
	gdt[USER_CS / 8] = descriptor(true, 3);
	gdt[TSS_SELECTOR / 8] = 0x67 | (tss & 0xffffff) << 16 | 0x8bUL << 40 | (tss >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;
	top = (uintptr_t)data + DATA_TOP; /* rsp0, which is not aligned */
	__builtin_memcpy(data + DATA_TSS + 4, &top, sizeof(top));
	*(uint16_t *)(data + DATA_TSS + 102) = 104;
	*(uint64_t *)(data + DATA_FLUSH_RIP) = (uintptr_t)dune_flush_trapped;
	prepare_frame(v, DATA_UPCALL_FRAME, dune_upcall_entry);
	prepare_frame(v, DATA_EXCEPTION_FRAME, dune_exception_entry);
	*(uint64_t *)(data + DATA_XSAVE_SIZE) = PAGE_UP(dune.xsave_size);
	*(uint32_t *)(data + DATA_XSAVE_LOW) = (uint32_t)dune.xcr0;
	*(uint32_t *)(data + DATA_XSAVE_HIGH) = (uint32_t)(dune.xcr0 >> 32);
	area_set_upcall(v);
	area_set_syscall(v);
	area_set_exceptions(v);
}

/* Where each exception goes: to the monitor, or to its handler in the program. */
void area_set_exceptions(struct vcpu *v)
{
	char *data = v->area + AREA_DATA;
	uint64_t *idt = (uint64_t *)(data + DATA_IDT);

	*(uint64_t *)(data + DATA_EXCEPTION_HANDLER) = dune.exception_handler;
	for (unsigned vector = 0; vector < 32; vector++) {
		bool handled = dune.exceptions >> vector & 1;
		const char *to = (handled ? dune_nucleus_handled : dune_nucleus_vectors) + 16 * vector;
		uint64_t entry = (uintptr_t)v->area + (uintptr_t)(to - dune_nucleus);
		/* int3 and into may be used by anyone. */
		uint64_t dpl = vector == 3 || vector == 4 ? 3 : 0;

		if (vector == 3) {
			__atomic_store_n((uint64_t *)(data + DATA_BREAKPOINT), entry, __ATOMIC_SEQ_CST);
			entry = (uintptr_t)v->area + (uintptr_t)(dune_nucleus_breakpoint - dune_nucleus);
		}
		if (vector == 14)
			entry = (uintptr_t)v->area + (uintptr_t)(dune_nucleus_pagefault - dune_nucleus);
		/* Only the first word ever changes. */
		idt[2 * vector + 1] = entry >> 32;
		__atomic_store_n(&idt[2 * vector],
				 (entry & 0xffff) | KERNEL_CS << 16 | (0x8eUL | dpl << 5) << 40 |
					 (entry >> 16 & 0xffff) << 48,
				 __ATOMIC_SEQ_CST);
	}
}

void area_set_upcall(struct vcpu *v)
{
	/* The range last: a fault in between goes to the monitor. */
	__atomic_store_n((uint64_t *)(v->area + AREA_DATA + DATA_UPCALL_SIZE), 0, __ATOMIC_SEQ_CST);
	*(uint64_t *)(v->area + AREA_DATA + DATA_HANDLER) = dune.upcall_handler;
	*(uint64_t *)(v->area + AREA_DATA + DATA_UPCALL_BASE) = dune.upcall_base;
	__atomic_store_n((uint64_t *)(v->area + AREA_DATA + DATA_UPCALL_SIZE), dune.upcall_size, __ATOMIC_SEQ_CST);
}

void area_set_syscall(struct vcpu *v)
{
	char *data = v->area + AREA_DATA, *go = v->area + (dune_nucleus_go - dune_nucleus);

	/* From ring 0 the way to ring 3 is sysret; from ring 3 (the self-test has seen which by now) the jump that
	 * is there. */
	__builtin_memcpy(go, dune.syscall_at_cpl3 ? dune_nucleus_go : "\x48\x0f\x07", 3);
	*(uint64_t *)(data + DATA_SYSCALL_ENTRY) = (uintptr_t)dune_syscall_entry;
	*(uint64_t *)(data + DATA_SYSCALL_HANDLER) = dune.syscall_handler;
	__atomic_store_n((uint64_t *)(data + DATA_SYSCALL),
			 dune.syscall_handler ? (uintptr_t)v->area + (uintptr_t)(dune_nucleus_user - dune_nucleus) : 0,
			 __ATOMIC_SEQ_CST);
}
