/* micro-suite.c - gbench-BACKEND: the micro-benchmarks of the suite, compiled once per back end. */
#include "backend.h"
#include "gbench.h"
#include "micro-suite.h"

int main(int argc, char **argv)
{
	backend_init();
	micro_suite_alloc();
	micro_suite_collect();
	return gbench_main(argc, argv);
}
