/* fork while another thread loads and unloads libraries, as test-fork-dlopen, on libgc.so.1: it has no functions of
 * libc's in front of the program, and must not need them for this. Debian's library is not held to it: there the child
 * hangs. Not with ASan, as test-fork-dlopen.
 *
 * TEST-FLAGS: link=libgc timeout=120 asan=no tsan=no
 */
#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>

#include "libgc-check.h"

static volatile int stop;

/* A library of libc's that nothing here uses. */
static void *loads(void *arg)
{
	while (!stop) {
		void *handle = dlopen("libBrokenLocale.so.1", RTLD_NOW);

		CHECK(handle != NULL);
		CHECK(GC_MALLOC(16) != NULL);
		dlclose(handle);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	GC_INIT();
	CHECK_EQ(GC_pthread_create(&thread, NULL, loads, NULL), 0);
	for (int i = 0; i < 400; i++) {
		pid_t pid = fork();
		int status, waited = 0;

		CHECK(pid >= 0);
		if (pid == 0) {
			GC_gcollect();
			_exit(GC_MALLOC(16) == NULL);
		}
		while (waitpid(pid, &status, WNOHANG) == 0) {
			if (++waited == 20000) { /* 20 s */
				kill(pid, SIGKILL);
				dprintf(2, "the child of fork %d hangs\n", i);
				_exit(1);
			}
			usleep(1000);
		}
		CHECK_EQ(status, 0);
	}
	stop = 1;
	CHECK_EQ(GC_pthread_join(thread, NULL), 0);
	return 0;
}
