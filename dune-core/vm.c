/* vm.c - the virtual machine: its descriptors, the vCPUs and their areas, what state they start with.
 *
 * vCPUs are created when first needed and then kept in dune.free_vcpus; only a process that ends, or calls exec, gives
 * them up. A forked child makes all of this anew (vm_after_fork), as a VM belongs to one address space. Called by
 * enter.c and thread.c.
 *
 * Processor-specific assumptions are here, in cpuid.c and in nucleus.S: the control registers, the model-specific
 * registers of SYSCALL, what CPUID says. They are the same for AMD's and Intel's processors, but no test ran on VMX. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "monitor.h"

#define CR0 0x80050033UL      /* PE MP ET NE WP AM PG */
#define CR4 0x00000620UL      /* PAE OSFXSR OSXMMEXCPT */
#define CR4_FSGSBASE 0x10000UL
#define CR4_OSXSAVE 0x40000UL
#define EFER 0xd01UL	      /* SCE LME LMA NXE */
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084

_Static_assert(offsetof(struct kvm_msrs, entries) == 8, "KVM's structure");

static long vm_ioctl(unsigned long request, long argument)
{
	return SYS3(ioctl, dune.vm, request, argument);
}

/* Moves fd to where the program does not look: above its limit on descriptors, if the hard limit leaves room. */
int high_fd(int fd)
{
	struct rlimit old, raised;
	long high;

	if (fd < 0)
		return fd;
	SYS4(prlimit64, 0, RLIMIT_NOFILE, NULL, &old);
	raised = old;
	raised.rlim_cur = old.rlim_max;
	SYS4(prlimit64, 0, RLIMIT_NOFILE, &raised, NULL);
	high = SYS3(fcntl, fd, F_DUPFD_CLOEXEC, dune.fd_base);
	SYS4(prlimit64, 0, RLIMIT_NOFILE, &old, NULL);
	SYS1(close, fd);
	if (high >= dune.fd_end) {
		SYS1(close, high);
		return -EMFILE;
	}
	return (int)high;
}

static void choose_fds(void)
{
	struct rlimit limit;
	rlim_t room;

	SYS4(prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	room = MIN((rlim_t)MAX_THREADS + 16, limit.rlim_max / 4);
	dune.fd_end = (int)MIN(limit.rlim_max, MAX(limit.rlim_cur, 16384) + room);
	dune.fd_base = dune.fd_end - (int)room;
}

static struct kvm_segment segment(unsigned selector, unsigned type, unsigned dpl, bool code)
{
	return (struct kvm_segment){ .limit = 0xffffffff, .selector = (uint16_t)selector, .type = (uint8_t)type,
				     .present = 1, .dpl = (uint8_t)dpl, .db = !code, .s = 1, .l = code, .g = 1 };
}

/* Ring 3, with the program's bases. */
int vcpu_set_user(struct vcpu *v, uint64_t root, uint64_t fs, uint64_t gs)
{
	struct kvm_sregs s;
	uintptr_t data = (uintptr_t)v->area + AREA_DATA;
	long error = SYS3(ioctl, v->fd, KVM_GET_SREGS, &s);

	if (error < 0)
		return (int)error;
	s.cs = segment(USER_CS, 11, 3, true);
	s.ss = segment(USER_SS, 3, 3, false);
	s.ds = s.es = s.fs = s.gs = segment(0, 3, 3, false);
	/* Null selectors, as Linux has them; 64-bit mode does not look at them, but they must not be unusable to load a
	 * base in all implementations. */
	s.fs.base = fs;
	s.gs.base = gs;
	s.tr = (struct kvm_segment){ .base = data + DATA_TSS, .limit = 0x67, .selector = TSS_SELECTOR, .type = 11,
				     .present = 1 };
	s.ldt = (struct kvm_segment){ .type = 2, .unusable = 1 };
	s.gdt = (struct kvm_dtable){ .base = data + DATA_GDT, .limit = 0x7f };
	s.idt = (struct kvm_dtable){ .base = data + DATA_IDT, .limit = 0x1ff };
	s.cr0 = CR0;
	s.cr2 = 0;
	s.cr3 = root;
	s.cr4 = CR4 | CR4_OSXSAVE | CR4_FSGSBASE;
	s.efer = EFER;
	return (int)SYS3(ioctl, v->fd, KVM_SET_SREGS, &s);
}

int vcpu_set_root(struct vcpu *v, uint64_t root)
{
	struct kvm_sregs s;
	long error = SYS3(ioctl, v->fd, KVM_GET_SREGS, &s);

	if (error < 0)
		return (int)error;
	s.cr3 = root;
	return (int)SYS3(ioctl, v->fd, KVM_SET_SREGS, &s);
}

/* Makes KVM drop all that it has built of the guest's page tables: it does when a memory slot goes away. */
void vm_forget(void)
{
	static char nothing[PAGE] __attribute__((aligned(4096)));
	struct kvm_userspace_memory_region region = {
		.slot = dune.max_slots - 1,
		.guest_phys_addr = GPA_EXIT + 0x100000,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)nothing,
	};

	vm_ioctl(KVM_SET_USER_MEMORY_REGION, (long)&region);
	region.memory_size = 0;
	vm_ioctl(KVM_SET_USER_MEMORY_REGION, (long)&region);
}

/* Other bases; all else stays. */
int vcpu_set_bases(struct vcpu *v, const uint64_t *fs, const uint64_t *gs)
{
	struct kvm_sregs s;
	long error = SYS3(ioctl, v->fd, KVM_GET_SREGS, &s);

	if (error < 0)
		return (int)error;
	if (fs)
		s.fs.base = *fs;
	if (gs)
		s.gs.base = *gs;
	return (int)SYS3(ioctl, v->fd, KVM_SET_SREGS, &s);
}

int vcpu_get_bases(struct vcpu *v, uint64_t *fs, uint64_t *gs)
{
	struct kvm_sregs s;
	long error = SYS3(ioctl, v->fd, KVM_GET_SREGS, &s);

	*fs = s.fs.base;
	*gs = s.gs.base;
	return (int)error;
}

/* The program's vector state, in XSAVE's standard form. */
int vcpu_get_xsave(struct vcpu *v, void *xsave)
{
	return (int)SYS3(ioctl, v->fd, dune.xsave_size > 4096 ? KVM_GET_XSAVE2 : KVM_GET_XSAVE, xsave);
}

int vcpu_set_xsave(struct vcpu *v, const void *xsave)
{
	return (int)SYS3(ioctl, v->fd, KVM_SET_XSAVE, xsave);
}

/* The guest reads the host's time-stamp counter, so that the vDSO tells the time. */
static void same_tsc(struct vcpu *v)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = { .group = 0 /* KVM_VCPU_TSC_CTRL */, .attr = 0 /* KVM_VCPU_TSC_OFFSET */,
					.addr = (uintptr_t)&offset };

	SYS3(ioctl, v->fd, KVM_SET_DEVICE_ATTR, &attr);
}

static int vcpu_create(struct vcpu *v, unsigned index)
{
	struct {
		uint32_t nmsrs, padding;
		struct kvm_msr_entry entries[3];
	} msrs = { .nmsrs = 3 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	long fd, error, run;

	fd = high_fd((int)vm_ioctl(KVM_CREATE_VCPU, index));
	if (fd < 0)
		return (int)fd;
	run = SYS6(mmap, NULL, dune.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (run < 0 && run > -4096)
		return (int)run;
	v->fd = (int)fd;
	v->index = index;
	v->run = (struct kvm_run *)run;
	v->area = dune.areas + (size_t)index * AREA_SIZE;
	v->next = NULL;
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS;
	error = cpuid_give(v);
	if (error < 0)
		return (int)error;
	error = pt_map_area(index);
	if (error)
		return (int)error;
	area_write(v);
	error = vcpu_set_user(v, *dune.roots, 0, 0);
	if (error < 0)
		return (int)error;
	if (dune.xcr0) {
		xcrs.xcrs[0].xcr = 0;
		xcrs.xcrs[0].value = dune.xcr0;
		error = SYS3(ioctl, fd, KVM_SET_XCRS, &xcrs);
		if (error < 0)
			return (int)error;
	}
	msrs.entries[0].index = MSR_STAR;
	msrs.entries[0].data = (uint64_t)(USER_SS - 8) << 48 | (uint64_t)KERNEL_CS << 32;
	msrs.entries[1].index = MSR_LSTAR;
	msrs.entries[1].data = (uintptr_t)v->area + (uintptr_t)(dune_nucleus_syscall - dune_nucleus);
	msrs.entries[2].index = MSR_FMASK;
	msrs.entries[2].data = 0x257fd5;
	error = SYS3(ioctl, fd, KVM_SET_MSRS, &msrs);
	if (error != 3)
		return error < 0 ? (int)error : -EIO;
	same_tsc(v);
	return 0;
}

/* dune.pool_lock is held. */
struct vcpu *vcpu_get(void)
{
	struct vcpu *v = dune.free_vcpus;

	if (v) {
		dune.free_vcpus = v->next;
		v->next = NULL;
		return v;
	}
	if (dune.vcpus >= MIN(dune.max_vcpus, (unsigned)MAX_THREADS))
		return NULL;
	v = &dune.vcpu_of[dune.vcpus];
	if (vcpu_create(v, dune.vcpus))
		return NULL;
	dune.vcpus++;
	return v;
}

void vcpu_put(struct vcpu *v)
{
	v->next = dune.free_vcpus;
	dune.free_vcpus = v;
}

/* The descriptors: /dev/kvm, the VM. */
static int vm_open(void)
{
	long vm;

	if (dune.kvm <= 0) {
		dune.kvm = high_fd((int)SYS4(openat, AT_FDCWD, "/dev/kvm", O_RDWR | O_CLOEXEC, 0));
		if (dune.kvm < 0)
			return dune.kvm;
	}
	do
		vm = SYS3(ioctl, dune.kvm, KVM_CREATE_VM, 0);
	while (vm == -EINTR);
	dune.vm = high_fd((int)vm);
	if (dune.vm < 0)
		return dune.vm;
	/* Only Intel's processors want these. */
	vm_ioctl(KVM_SET_TSS_ADDR, 0xd0010000);
	return 0;
}

static long extension(long what)
{
	return SYS3(ioctl, dune.kvm, KVM_CHECK_EXTENSION, what);
}

/* Makes the VM and learns what it can do. Or says why not. */
int vm_create(char *why, size_t size)
{
	long version, n;
	int error;

	dune.kvm = dune.vm = -1;
	choose_fds();
	error = vm_open();
	if (error) {
		if (dune.kvm < 0)
			format(why, size, "cannot open /dev/kvm: %s", dune.kvm == -ENOENT ? "there is no such device" :
				dune.kvm == -EACCES || dune.kvm == -EPERM ?
				"permission denied; be root, or in the group that owns it" :
				dune.kvm == -EMFILE || dune.kvm == -ENFILE ? "too many open files" :
				"the device does not answer; is the kvm module loaded?");
		else
			format(why, size, "KVM_CREATE_VM failed with error %d", -error);
		return error;
	}
	version = SYS3(ioctl, dune.kvm, KVM_GET_API_VERSION, 0);
	if (version != 12) {
		format(why, size, "/dev/kvm has version %ld of the interface, not 12", version);
		return -ENOTSUP;
	}
	n = extension(KVM_CAP_SYNC_REGS);
	if (n < 0 || !(n & KVM_SYNC_X86_REGS) || extension(KVM_CAP_IMMEDIATE_EXIT) <= 0 ||
	    extension(KVM_CAP_XSAVE) <= 0 || extension(KVM_CAP_XCRS) <= 0) {
		format(why, size, "this kernel's KVM is too old: Linux 4.17 has what is needed");
		return -ENOTSUP;
	}
	dune.run_size = (size_t)SYS3(ioctl, dune.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	dune.max_slots = MIN((unsigned)extension(KVM_CAP_NR_MEMSLOTS), MAX_SLOTS);
	n = extension(KVM_CAP_MAX_VCPUS);
	dune.max_vcpus = n > 0 ? (unsigned)n : 4;
	n = SYS3(ioctl, dune.vm, KVM_CHECK_EXTENSION, 208 /* KVM_CAP_XSAVE2 */);
	dune.xsave_size = n > 4096 ? (size_t)n : 4096;
	return cpuid_init(why, size);
}

/* In a child: the parent's VM and descriptors do not work here. The first vCPU becomes this thread's; the caller sets
 * its state. */
int vm_after_fork(void)
{
	int error;

	for (int fd = dune.fd_base, next; fd < dune.fd_end; fd = next + 1) {
		/* All but the files that are written to. */
		next = dune.fd_end;
		if (dune.trace >= fd)
			next = MIN(next, dune.trace);
		if (dune.statistics >= fd)
			next = MIN(next, dune.statistics);
		if (next > fd)
			SYS3(close_range, fd, next - 1, 0);
	}
	dune.kvm = dune.vm = dune.maps = -1;
	for (unsigned i = 0; i < dune.vcpus; i++)
		SYS2(munmap, dune.vcpu_of[i].run, dune.run_size);
	dune.vcpus = 0;
	dune.free_vcpus = NULL;
	error = vm_open();
	if (!error)
		error = maps_open();
	if (!error)
		error = memory_add_slots();
	return error;
}
