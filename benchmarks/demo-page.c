/* demo-page.c - writes the HTML page that the demo gives to w3m.
 *
 * Owns what is on it: wide tables, small tables in table cells, nested lists, links and paragraphs of made-up words.
 * Layout of tables and lists is where w3m allocates. The page is the same on every machine.
 */
#include "demo.h"
#include "program.h"

#include <errno.h>

enum { PAGE_SECTIONS = 100, PAGE_ROWS = 60, PAGE_COLUMNS = 8, PAGE_LIST_DEPTH = 4, PAGE_LIST_WIDTH = 5 };

static uint64_t page_state;

static void page_word(FILE *file)
{
	static const char *const syllables[] = {"ka", "lo", "mi", "ser", "ton", "u",  "ver", "xi",
						"ym", "zo", "an", "be",	 "cor", "du", "el",  "fa"};
	uint32_t n = 1 + program_random_below(&page_state, 4);

	for (uint32_t i = 0; i < n; i++)
		fputs(syllables[program_random_below(&page_state, 16)], file);
}

static void page_words(FILE *file, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t dress = program_random_below(&page_state, 12);

		if (dress == 0)
			fprintf(file, "<a href=\"#s%u\">", program_random_below(&page_state, PAGE_SECTIONS));
		else if (dress == 1)
			fputs("<b>", file);
		page_word(file);
		if (dress == 0)
			fputs("</a>", file);
		else if (dress == 1)
			fputs("</b>", file);
		fputs(i + 1 < n ? " " : "", file);
	}
}

static void page_list(FILE *file, int depth)
{
	fputs(depth & 1 ? "<ol>\n" : "<ul>\n", file);
	for (int i = 0; i < PAGE_LIST_WIDTH; i++) {
		fputs("<li>", file);
		page_words(file, 3 + program_random_below(&page_state, 12));
		if (depth > 1)
			page_list(file, depth - 1);
		fputs("</li>\n", file);
	}
	fputs(depth & 1 ? "</ol>\n" : "</ul>\n", file);
}

static void page_table(FILE *file, int rows, int columns, bool nested)
{
	fputs("<table border=1>\n<tr>", file);
	for (int c = 0; c < columns; c++) {
		fputs("<th>", file);
		page_word(file);
		fputs("</th>", file);
	}
	fputs("</tr>\n", file);
	for (int r = 0; r < rows; r++) {
		fputs("<tr>", file);
		for (int c = 0; c < columns; c++) {
			fputs("<td>", file);
			if (nested && c == columns - 1 && r % 10 == 0)
				page_table(file, 3, 3, false);
			else
				page_words(file, 1 + program_random_below(&page_state, 5));
			fputs("</td>", file);
		}
		fputs("</tr>\n", file);
	}
	fputs("</table>\n", file);
}

int demo_page_write(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		return -errno;
	page_state = 4;
	fputs("<!DOCTYPE html>\n<html><head><title>A large page</title></head><body>\n", file);
	for (int s = 0; s < PAGE_SECTIONS; s++) {
		fprintf(file, "<h2 id=s%d>", s);
		page_words(file, 4);
		fputs("</h2>\n", file);
		for (int p = 0; p < 8; p++) {
			fputs("<p>", file);
			page_words(file, 80);
			fputs("</p>\n", file);
		}
		page_table(file, PAGE_ROWS, PAGE_COLUMNS, true);
		page_list(file, PAGE_LIST_DEPTH);
	}
	fputs("</body></html>\n", file);
	return fclose(file) ? -errno : 0;
}
