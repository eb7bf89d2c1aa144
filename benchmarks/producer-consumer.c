/* producer-consumer.c - objects made in one thread die in another.
 *
 * Each pair of threads shares a ring of messages; the producer fills it with small trees of mixed sizes, the consumer
 * adds them up and drops them. An allocator with caches of its own for each thread has to bring the memory back.
 *
 * Usage: producer-consumer [PAIRS [MESSAGES]]
 */
#include "backend.h"
#include "program.h"

#include <sched.h>
#include <stdatomic.h>

enum { QUEUE_LENGTH = 1024, QUEUE_MAX_PAIRS = 16, QUEUE_SPINS = 200 };

struct queue_message {
	struct queue_message *parts;
	uint32_t words;
	uint32_t count;
	uint64_t data[];
};

struct queue {
	_Atomic(struct queue_message *) slots[QUEUE_LENGTH];
	long messages;
	uint64_t sum;
	pthread_t producer, consumer;
	char apart[64];
};

static struct queue queues[QUEUE_MAX_PAIRS];

static struct queue_message *queue_message_new(uint64_t bits)
{
	struct queue_message *message = NULL;

	for (uint32_t i = 0; i < 4; i++, bits >>= 8) {
		uint32_t words = 1 + (uint32_t)(bits & 15);
		struct queue_message *part = backend_alloc(sizeof(*part) + words * sizeof(uint64_t));

		part->parts = message;
		part->words = words;
		part->count = i;
		for (uint32_t w = 0; w < words; w++)
			part->data[w] = bits + w;
		message = part;
	}
	return message;
}

static void queue_wait(unsigned *spins)
{
	backend_safepoint();
	if (++*spins < QUEUE_SPINS)
		__builtin_ia32_pause();
	else
		sched_yield();
}

static void *queue_produce(void *arg)
{
	struct queue *queue = arg;
	uint64_t state = 10 + (uint64_t)(queue - queues);

	for (long i = 0; i < queue->messages; i++) {
		struct queue_message *message = queue_message_new(program_random(&state));
		unsigned spins = 0;

		while (atomic_load_explicit(&queue->slots[i % QUEUE_LENGTH], memory_order_acquire))
			queue_wait(&spins);
		atomic_store_explicit(&queue->slots[i % QUEUE_LENGTH], message, memory_order_release);
	}
	return NULL;
}

static void *queue_consume(void *arg)
{
	struct queue *queue = arg;

	for (long i = 0; i < queue->messages; i++) {
		struct queue_message *message;
		unsigned spins = 0;

		while (!(message = atomic_load_explicit(&queue->slots[i % QUEUE_LENGTH], memory_order_acquire)))
			queue_wait(&spins);
		atomic_store_explicit(&queue->slots[i % QUEUE_LENGTH], NULL, memory_order_release);
		while (message) {
			struct queue_message *parts = message->parts;

			queue->sum += message->data[message->words - 1] + message->count;
			backend_free(message);
			message = parts;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int pairs = (int)program_number(argc, argv, 1, 1);
	long messages = program_number(argc, argv, 2, 4000000);
	uint64_t checksum = 0;

	if (pairs < 1 || pairs > QUEUE_MAX_PAIRS) {
		fprintf(stderr, "usage: producer-consumer [PAIRS (1-%d) [MESSAGES]]\n", QUEUE_MAX_PAIRS);
		return 2;
	}
	backend_init();
	for (int i = 0; i < pairs; i++) {
		queues[i].messages = messages / pairs;
		backend_thread_create(&queues[i].consumer, queue_consume, &queues[i]);
		backend_thread_create(&queues[i].producer, queue_produce, &queues[i]);
	}
	for (int i = 0; i < pairs; i++) {
		backend_thread_join(queues[i].producer);
		backend_thread_join(queues[i].consumer);
		checksum = program_checksum(checksum, queues[i].sum);
	}
	return program_finish("producer-consumer", checksum);
}
