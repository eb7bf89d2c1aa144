/* Writes that no compiled store makes, while a cycle marks: the only pointer to an object is put where the marker has
 * been by read, readv, recvmsg, pread, memcpy of many pages, a move within a large array, a freshly made large object, a
 * fork's parent. An object that is lost is found by its number.
 *
 * TEST-FLAGS: timeout=120 torture=yes tsan=no
 */
#include "check.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct object {
	uint64_t id, check;
	uint64_t filler[6];
};

enum { SLOTS = 60000, TABLES = 4 };

/* Old objects that are long marked when something is put into them. */
ROOT struct object **tables[TABLES];
static uint64_t ids[TABLES][SLOTS];
static uint64_t next_id = 1;

static NOINLINE struct object *object_new(uint64_t *id)
{
	struct object *o = gcdune_alloc(sizeof(*o));

	CHECK(o && !o->id && !o->check && !o->filler[5]);
	o->id = *id = next_id++;
	o->check = mix(o->id);
	return o;
}

static NOINLINE void check_slot(unsigned t, size_t i)
{
	const struct object *o = tables[t][i];

	if (!ids[t][i]) {
		CHECK(!o);
		return;
	}
	CHECKF(gcdune_base(o) == o, "object %llu in slot %zu was lost", (unsigned long long)ids[t][i], i);
	CHECK(o->id == ids[t][i] && o->check == mix(o->id));
}

static int pipes[2], sockets[2], file;

/* Puts a new object into the slot by way of the kernel. Between write and read this frame holds the pointer. */
static NOINLINE void by_kernel(unsigned t, size_t i, unsigned how)
{
	struct object *o = object_new(&ids[t][i]);
	void *place = &tables[t][i];
	struct iovec out = {&o, sizeof(o)}, in = {place, sizeof(o)};
	struct msghdr message = {.msg_iov = &in, .msg_iovlen = 1};

	switch (how % 4) {
	case 0:
		CHECK(write(pipes[1], &o, sizeof(o)) == sizeof(o));
		CHECK(read(pipes[0], place, sizeof(o)) == sizeof(o));
		break;
	case 1:
		CHECK(writev(pipes[1], &out, 1) == sizeof(o));
		CHECK(readv(pipes[0], &in, 1) == sizeof(o));
		break;
	case 2:
		CHECK(send(sockets[1], &o, sizeof(o), 0) == sizeof(o));
		CHECK(recvmsg(sockets[0], &message, 0) == sizeof(o));
		break;
	case 3:
		CHECK(pwrite(file, &o, sizeof(o), 64) == sizeof(o));
		CHECK(pread(file, place, sizeof(o), 64) == sizeof(o));
		break;
	}
	KEEP_ALIVE(o);
}

static NOINLINE void move_range(uint64_t *random)
{
	unsigned t = random_next(random) % TABLES, u = random_next(random) % TABLES;
	size_t n = 1 + random_next(random) % 5000, i = random_next(random) % (SLOTS - n);
	size_t k = random_next(random) % (SLOTS - n);

	memmove(&tables[u][k], &tables[t][i], n * sizeof(*tables[t]));
	memmove(&ids[u][k], &ids[t][i], n * sizeof(*ids[t]));
}

/* The table becomes a new large object, whose contents only it has. */
static NOINLINE void new_table(unsigned t)
{
	struct object **fresh = gcdune_alloc(SLOTS * sizeof(*fresh));

	CHECK(fresh != NULL);
	memcpy(fresh, tables[t], SLOTS * sizeof(*fresh));
	tables[t] = fresh;
}

static NOINLINE void resize_table(unsigned t, uint64_t *random)
{
	size_t n = SLOTS + random_next(random) % (4 * SLOTS);

	tables[t] = gcdune_realloc(tables[t], n * sizeof(*tables[t]));
	CHECK(tables[t] && !tables[t][n - 1]);
	tables[t] = gcdune_realloc(tables[t], SLOTS * sizeof(*tables[t]));
	CHECK(tables[t] != NULL);
}

static void check_all(void)
{
	for (unsigned t = 0; t < TABLES; t++)
		for (size_t i = 0; i < SLOTS; i++)
			check_slot(t, i);
}

int main(void)
{
	uint64_t random = 7;
	char name[] = "/tmp/gcdune-writes-XXXXXX";

	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	file = mkstemp(name);
	CHECK(file >= 0);
	unlink(name);
	for (unsigned t = 0; t < TABLES; t++) {
		tables[t] = gcdune_alloc(SLOTS * sizeof(*tables[t]));
		CHECK(tables[t] != NULL);
	}
	for (size_t round = 0; round < rounds(60000, 3000); round++) {
		uint64_t r = random_next(&random);
		unsigned t = r % TABLES;
		size_t i = (r >> 8) % SLOTS;

		by_kernel(t, i, (unsigned)(r >> 40));
		check_slot((unsigned)(r >> 30) % TABLES, (r >> 20) % SLOTS);
		if (r >> 50 == 0 || round % 500 == 0)
			move_range(&random);
		if (round % 700 == 0)
			new_table(t);
		if (round % 900 == 0)
			resize_table(t, &random);
		if (round % 1500 == 0) {
			pid_t pid = fork();

			if (pid == 0) {
				/* The cycle that was under way is given up here; the next one must be right all the same. */
				check_all();
				by_kernel(t, i, (unsigned)r);
				gcdune_collect();
				check_all();
				_exit(0);
			}
			CHECK(pid > 0);
			CHECK_EQ(child_wait(pid), 0);
		}
	}
	check_all();
	gcdune_collect();
	check_all();
	return 0;
}
