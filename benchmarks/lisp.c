/* lisp.c - a small Lisp, and programs in it: what a collector under an interpreter has to do.
 *
 * Lists, symbols, whole numbers, closures with frames on the heap; define, lambda, if, let, set!, begin, while, quote, cond.
 * Expressions are evaluated as read. Numbers are tagged in their lowest bit; nothing is ever freed by hand (a runtime
 * has a collector because it cannot know when), so malloc back ends are not compared here.
 *
 * The checksum is made of what the program prints.
 *
 * Usage: lisp FILE [N]	N is the value of `n' in the program
 */
#include "backend.h"
#include "program.h"

#include <ctype.h>
#include <stdarg.h>
#include <string.h>

enum lisp_type { LISP_PAIR, LISP_SYMBOL, LISP_PRIMITIVE, LISP_CLOSURE };

typedef struct lisp_object *lisp;
struct lisp_object {
	enum lisp_type type;
	unsigned number; /* symbol: a special form, or 0; primitive: which */
	union {
		struct {
			lisp head, tail;
		} pair;
		struct {
			char *name;
			lisp value; /* global; NULL: none */
			lisp next;  /* of all symbols */
		} symbol;
		struct {
			lisp parameters, body, frame;
		} closure;
	} u;
};

enum { SPECIAL_NONE, QUOTE, IF, DEFINE, SET, LAMBDA, LET, BEGIN, WHILE, COND, SPECIALS };
enum {
	CONS,
	CAR,
	CDR,
	EQ,
	LESS,
	PLUS,
	MINUS,
	TIMES,
	REMAINDER,
	QUOTIENT,
	IS_PAIR,
	IS_SYMBOL,
	IS_NUMBER,
	SET_CAR,
	SET_CDR,
	PRINT,
	RANDOM,
	PRIMITIVES
};

static const char *const lisp_special[] = {"",	     "quote", "if",    "define", "set!",
					   "lambda", "let",   "begin", "while",	 "cond"};
static const char *const lisp_primitive[] = {"cons",	"car",	    "cdr",	 "eq?",	     "<",     "+",
					     "-",	"*",	    "remainder", "quotient", "pair?", "symbol?",
					     "number?", "set-car!", "set-cdr!",	 "print",    "random"};

static lisp lisp_symbols, lisp_true;
static uint64_t lisp_state = 12, lisp_checksum;
static const char *lisp_text; /* what is being read */

static _Noreturn void __attribute__((format(printf, 1, 2))) lisp_error(const char *what, ...)
{
	va_list list;

	va_start(list, what);
	fputs("lisp: ", stderr);
	vfprintf(stderr, what, list);
	fputc('\n', stderr);
	va_end(list);
	exit(1);
}

/* ---- Objects ---- */

static bool lisp_is_number(lisp x)
{
	return (uintptr_t)x & 1;
}

static long lisp_long(lisp x)
{
	if (!lisp_is_number(x))
		lisp_error("not a number");
	return (long)(intptr_t)x >> 1;
}

static lisp lisp_number(long n)
{
	return (lisp)((uintptr_t)n << 1 | 1);
}

static bool lisp_is(lisp x, enum lisp_type type)
{
	return x && !lisp_is_number(x) && x->type == type;
}

static lisp lisp_new(enum lisp_type type)
{
	lisp x = backend_alloc(sizeof(*x));

	*x = (struct lisp_object){.type = type};
	return x;
}

static lisp lisp_cons(lisp head, lisp tail)
{
	lisp x = backend_alloc(sizeof(*x));

	x->type = LISP_PAIR;
	x->number = 0;
	x->u.pair.head = head;
	x->u.pair.tail = tail;
	return x;
}

static lisp lisp_head(lisp x)
{
	if (!lisp_is(x, LISP_PAIR))
		lisp_error("car of what is not a pair");
	return x->u.pair.head;
}

static lisp lisp_tail(lisp x)
{
	if (!lisp_is(x, LISP_PAIR))
		lisp_error("cdr of what is not a pair");
	return x->u.pair.tail;
}

static lisp lisp_symbol(const char *name, size_t length)
{
	lisp x;

	for (x = lisp_symbols; x; x = x->u.symbol.next) {
		if (strlen(x->u.symbol.name) == length && memcmp(x->u.symbol.name, name, length) == 0)
			return x;
	}
	x = lisp_new(LISP_SYMBOL);
	x->u.symbol.name = backend_alloc_leaf(length + 1);
	memcpy(x->u.symbol.name, name, length);
	x->u.symbol.name[length] = '\0';
	for (unsigned i = 1; i < SPECIALS; i++) {
		if (strcmp(x->u.symbol.name, lisp_special[i]) == 0)
			x->number = i;
	}
	x->u.symbol.next = lisp_symbols;
	return lisp_symbols = x;
}

static lisp lisp_named(const char *name)
{
	return lisp_symbol(name, strlen(name));
}

/* ---- Read and print ---- */

static void lisp_skip(void)
{
	for (;; lisp_text++) {
		if (*lisp_text == ';')
			lisp_text += strcspn(lisp_text, "\n");
		if (!isspace((unsigned char)*lisp_text))
			return;
	}
}

static lisp lisp_read(void)
{
	lisp_skip();
	if (*lisp_text == '\'') {
		lisp_text++;
		lisp quoted = lisp_read();

		return lisp_cons(lisp_named("quote"), lisp_cons(quoted, NULL));
	}
	if (*lisp_text == '(') {
		lisp list = NULL, last = NULL;

		lisp_text++;
		for (lisp_skip(); *lisp_text != ')'; lisp_skip()) {
			lisp item = lisp_cons(lisp_read(), NULL);

			if (last)
				last->u.pair.tail = item;
			else
				list = item;
			last = item;
		}
		lisp_text++;
		return list;
	}
	size_t length = strcspn(lisp_text, " \t\n();'");
	char *end;
	long number = strtol(lisp_text, &end, 10);

	if (!length)
		lisp_error("a parenthesis too few or too many");
	if (end == lisp_text + length) {
		lisp_text = end;
		return lisp_number(number);
	}
	lisp_text += length;
	return lisp_symbol(lisp_text - length, length);
}

static void lisp_print(lisp x)
{
	if (lisp_is_number(x)) {
		lisp_checksum = program_checksum(lisp_checksum, (uint64_t)lisp_long(x));
	} else if (lisp_is(x, LISP_SYMBOL)) {
		for (const char *c = x->u.symbol.name; *c; c++)
			lisp_checksum = program_checksum(lisp_checksum, (uint64_t)*c);
	} else {
		lisp_checksum = program_checksum(lisp_checksum, x ? x->type + 3 : 2);
	}
	for (; lisp_is(x, LISP_PAIR); x = x->u.pair.tail)
		lisp_print(x->u.pair.head);
}

/* ---- Evaluate ---- */

static lisp lisp_eval(lisp x, lisp frame);

/* A frame is a list of pairs (symbol . value), innermost first. */
static lisp lisp_bound(lisp symbol, lisp frame)
{
	for (; frame; frame = frame->u.pair.tail) {
		if (frame->u.pair.head->u.pair.head == symbol)
			return frame->u.pair.head;
	}
	return NULL;
}

static lisp lisp_list(lisp x, lisp frame)
{
	lisp list = NULL, last = NULL;

	for (; x; x = lisp_tail(x)) {
		lisp item = lisp_cons(lisp_eval(lisp_head(x), frame), NULL);

		if (last)
			last->u.pair.tail = item;
		else
			list = item;
		last = item;
	}
	return list;
}

static lisp lisp_sequence(lisp body, lisp frame)
{
	lisp value = NULL;

	for (; body; body = lisp_tail(body))
		value = lisp_eval(lisp_head(body), frame);
	return value;
}

static lisp lisp_call(unsigned primitive, lisp arguments)
{
	lisp a = arguments ? lisp_head(arguments) : NULL;
	lisp b = arguments && lisp_tail(arguments) ? lisp_head(lisp_tail(arguments)) : NULL;

	switch (primitive) {
	case CONS:
		return lisp_cons(a, b);
	case CAR:
		return lisp_head(a);
	case CDR:
		return lisp_tail(a);
	case EQ:
		return a == b ? lisp_true : NULL;
	case LESS:
		return lisp_long(a) < lisp_long(b) ? lisp_true : NULL;
	case PLUS:
		return lisp_number(lisp_long(a) + lisp_long(b));
	case MINUS:
		return lisp_number(lisp_long(a) - lisp_long(b));
	case TIMES:
		return lisp_number(lisp_long(a) * lisp_long(b));
	case REMAINDER:
	case QUOTIENT:
		if (!lisp_long(b))
			lisp_error("division by zero");
		return lisp_number(primitive == QUOTIENT ? lisp_long(a) / lisp_long(b) : lisp_long(a) % lisp_long(b));
	case IS_PAIR:
		return lisp_is(a, LISP_PAIR) ? lisp_true : NULL;
	case IS_SYMBOL:
		return lisp_is(a, LISP_SYMBOL) ? lisp_true : NULL;
	case IS_NUMBER:
		return lisp_is_number(a) ? lisp_true : NULL;
	case SET_CAR:
		lisp_head(a);
		return a->u.pair.head = b;
	case SET_CDR:
		lisp_head(a);
		return a->u.pair.tail = b;
	case PRINT:
		lisp_print(a);
		return a;
	case RANDOM:
		return lisp_number(program_random_below(&lisp_state, (uint32_t)lisp_long(a)));
	default:
		lisp_error("no primitive %u", primitive);
	}
}

static lisp lisp_define(lisp form, lisp frame)
{
	lisp what = lisp_head(form), value;

	if (lisp_is(what, LISP_PAIR)) { /* (define (f x) ...) */
		value = lisp_new(LISP_CLOSURE);
		value->u.closure.parameters = lisp_tail(what);
		value->u.closure.body = lisp_tail(form);
		value->u.closure.frame = frame;
		what = lisp_head(what);
	} else {
		value = lisp_eval(lisp_head(lisp_tail(form)), frame);
	}
	what->u.symbol.value = value;
	return what;
}

static lisp lisp_set(lisp form, lisp frame)
{
	lisp symbol = lisp_head(form);
	lisp value = lisp_eval(lisp_head(lisp_tail(form)), frame);
	lisp bound = lisp_bound(symbol, frame);

	if (bound)
		return bound->u.pair.tail = value;
	return symbol->u.symbol.value = value;
}

static lisp lisp_bind(lisp parameters, lisp arguments, lisp frame)
{
	for (; parameters; parameters = lisp_tail(parameters), arguments = lisp_tail(arguments))
		frame = lisp_cons(lisp_cons(lisp_head(parameters), lisp_head(arguments)), frame);
	return frame;
}

/* Tail calls take no stack. */
static lisp lisp_eval(lisp x, lisp frame)
{
	for (;;) {
		if (lisp_is(x, LISP_SYMBOL)) {
			lisp bound = lisp_bound(x, frame);

			return bound ? bound->u.pair.tail : x->u.symbol.value;
		}
		if (!lisp_is(x, LISP_PAIR))
			return x;

		lisp head = x->u.pair.head, form = x->u.pair.tail, function, arguments;

		switch (lisp_is(head, LISP_SYMBOL) ? head->number : SPECIAL_NONE) {
		case QUOTE:
			return lisp_head(form);
		case IF:
			form = lisp_eval(lisp_head(form), frame) ? lisp_tail(form) : lisp_tail(lisp_tail(form));
			if (!form)
				return NULL;
			x = lisp_head(form);
			continue;
		case COND:
			for (; form; form = lisp_tail(form)) {
				if (lisp_eval(lisp_head(lisp_head(form)), frame))
					break;
			}
			if (!form)
				return NULL;
			form = lisp_tail(lisp_head(form));
			break;
		case DEFINE:
			return lisp_define(form, frame);
		case SET:
			return lisp_set(form, frame);
		case LAMBDA:
			function = lisp_new(LISP_CLOSURE);
			function->u.closure.parameters = lisp_head(form);
			function->u.closure.body = lisp_tail(form);
			function->u.closure.frame = frame;
			return function;
		case LET: {
			lisp inner = frame;

			for (lisp b = lisp_head(form); b; b = lisp_tail(b)) {
				lisp value = lisp_eval(lisp_head(lisp_tail(lisp_head(b))), frame);

				inner = lisp_cons(lisp_cons(lisp_head(lisp_head(b)), value), inner);
			}
			frame = inner;
			form = lisp_tail(form);
			break;
		}
		case BEGIN:
			break;
		case WHILE:
			while (lisp_eval(lisp_head(form), frame))
				lisp_sequence(lisp_tail(form), frame);
			return NULL;
		default:
			function = lisp_eval(head, frame);
			arguments = lisp_list(form, frame);
			if (lisp_is(function, LISP_PRIMITIVE))
				return lisp_call(function->number, arguments);
			if (!lisp_is(function, LISP_CLOSURE))
				lisp_error("%s is not a function",
					   lisp_is(head, LISP_SYMBOL) ? head->u.symbol.name : "an expression");
			frame = lisp_bind(function->u.closure.parameters, arguments, function->u.closure.frame);
			form = function->u.closure.body;
		}
		/* What is left of a body; its last expression without recursion. */
		if (!form)
			return NULL;
		for (; lisp_tail(form); form = lisp_tail(form))
			lisp_eval(lisp_head(form), frame);
		x = lisp_head(form);
	}
}

static char *lisp_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char *text;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
		lisp_error("cannot read %s", path);
	text = backend_alloc_leaf((size_t)size + 1);
	if (fread(text, 1, (size_t)size, file) != (size_t)size)
		lisp_error("cannot read %s", path);
	text[size] = '\0';
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: lisp FILE [N]\n");
		return 2;
	}
	backend_init();
	for (unsigned i = 0; i < PRIMITIVES; i++) {
		lisp symbol = lisp_named(lisp_primitive[i]);

		symbol->u.symbol.value = lisp_new(LISP_PRIMITIVE);
		symbol->u.symbol.value->number = i;
	}
	lisp_true = lisp_named("t");
	lisp_true->u.symbol.value = lisp_true;
	if (argc > 2)
		lisp_named("n")->u.symbol.value = lisp_number(program_number(argc, argv, 2, 0));
	lisp_text = lisp_file(argv[1]);
	for (lisp_skip(); *lisp_text; lisp_skip())
		lisp_eval(lisp_read(), NULL);
	return program_finish("lisp", lisp_checksum);
}
