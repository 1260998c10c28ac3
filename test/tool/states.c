/* SPDX-License-Identifier: MIT */
/* `tresor states`: every rule of every table is in each of its forms. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include <tresor/observe.h>

static size_t count_text(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static size_t count_rules(uint32_t machine, uint32_t state)
{
    struct tresor_rule_info rule;
    size_t count = 0;
    for (uint32_t event = 0; tresor_machine_event(machine, event); event++) {
        for (uint32_t i = 0; tresor_machine_rule(machine, state, event, i, &rule); i++)
            count++;
    }
    return count;
}

static size_t count_all_rules(uint32_t machine)
{
    struct tresor_state_info state;
    size_t count = 0;
    for (uint32_t i = 0; tresor_machine_state(machine, i, &state); i++)
        count += count_rules(machine, i);
    assert_true(count > 0);
    return count;
}

/** Print one machine; returns what was printed. */
static const char *print(const char *name, const char *format)
{
    char line[128];
    snprintf(line, sizeof line, "states %s --format %s", name, format);
    assert_int_equal(tool(line), 0);
    assert_int_equal(tool_result.errors.length, 0);
    assert_int_equal(tool_result.output.dropped_bytes, 0);
    return tool_result.output.bytes;
}

static void every_machine_is_named(void **state)
{
    (void)state;
    struct tresor_machine_info info;
    assert_int_equal(tool("states --format names"), 0);
    assert_int_equal(count_text(tool_result.output.bytes, "\n"), tresor_machine_count());
    for (uint32_t i = 0; tresor_machine_info(i, &info); i++)
        assert_non_null(strstr(tool_result.output.bytes, info.name));
}

/** A table's lines that tell a rule: those with a state, an event, a guard or "-", an action and a
 * state. */
static void assert_table_has_rule(const char *table, const char *from, const char *event,
                                  const struct tresor_rule_info *rule, const char *to)
{
    const char *line = table;
    for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char words[5][64] = {""};
        if (sscanf(line, "%63s %63s %63s %63s %63s", words[0], words[1], words[2], words[3],
                   words[4]) == 5 &&
            strcmp(words[0], from) == 0 && strcmp(words[1], event) == 0 &&
            strcmp(words[2], *rule->guard ? rule->guard : "-") == 0 &&
            strcmp(words[3], rule->action) == 0 && strcmp(words[4], to) == 0)
            return;
    }
    fail_msg("no rule %s %s %s %s", from, event, rule->guard, rule->action);
}

static void table_has_every_rule(void **state)
{
    (void)state;
    struct tresor_machine_info info;
    struct tresor_state_info from;
    struct tresor_state_info to;
    struct tresor_rule_info rule;
    for (uint32_t m = 0; tresor_machine_info(m, &info); m++) {
        const char *table = print(info.name, "table");
        assert_non_null(strstr(table, info.text));
        for (uint32_t s = 0; tresor_machine_state(m, s, &from); s++) {
            assert_non_null(strstr(table, from.text));
            for (uint32_t e = 0; tresor_machine_event(m, e); e++) {
                for (uint32_t r = 0; tresor_machine_rule(m, s, e, r, &rule); r++) {
                    assert_true(tresor_machine_state(m, rule.target, &to));
                    assert_table_has_rule(table, from.name, tresor_machine_event(m, e), &rule,
                                          to.name);
                }
            }
        }
    }
}

static void diagrams_have_an_edge_for_every_rule(void **state)
{
    (void)state;
    struct tresor_machine_info info;
    for (uint32_t m = 0; tresor_machine_info(m, &info); m++) {
        const size_t rules = count_all_rules(m);
        const char *mermaid = print(info.name, "mermaid");
        assert_int_equal(strncmp(mermaid, "stateDiagram-v2\n", 16), 0);
        assert_int_equal(count_text(mermaid, " --> "), rules + 1);
        const char *dot = print(info.name, "dot");
        assert_int_equal(strncmp(dot, "digraph ", 8), 0);
        assert_int_equal(count_text(dot, " -> "), rules);
        assert_int_equal(count_text(dot, "{"), count_text(dot, "}"));
        const char *markdown = print(info.name, "markdown");
        assert_int_equal(count_text(markdown, " --> "), rules + 1);
        /* Three tables: states, rules, and what each state rejects; each with two lines on top. */
        assert_int_equal(count_text(markdown, "\n|"), rules + 2 * info.state_count + 6);
    }
}

static void all_machines_make_one_diagram(void **state)
{
    (void)state;
    size_t rules = 0;
    const uint32_t count = tresor_machine_count();
    for (uint32_t m = 0; m < count; m++)
        rules += count_all_rules(m);
    const char *mermaid = print("", "mermaid");
    assert_int_equal(count_text(mermaid, "stateDiagram-v2"), 1);
    assert_int_equal(count_text(mermaid, " --> "), rules + count);
    assert_int_equal(count_text(print("", "dot"), "subgraph"), count);
    assert_int_equal(count_text(print("", "dot"), " -> "), rules);
    assert_int_equal(count_text(print("", "markdown"), "```mermaid"), count);
    assert_int_equal(tool("states"), 0);
}

static void bad_usage_names_what_there_is(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "states frobnicate", "states source tensor", "states --format png",
        "states --format",   "states --frobnicate",  "states source --format tables",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (tool(lines[i]) != 2)
            fail_msg("'%s' gave %d", lines[i], tool_result.exit_code);
        assert_int_equal(tool_result.output.length, 0);
        assert_non_null(strstr(tool_result.errors.bytes, "--help"));
    }
    tool("states frobnicate");
    struct tresor_machine_info info;
    for (uint32_t i = 0; tresor_machine_info(i, &info); i++)
        assert_non_null(strstr(tool_result.errors.bytes, info.name));
    assert_int_equal(tool("states --help"), 0);
}

static void lost_output_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" states >/dev/full"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "cannot write"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_machine_is_named),
        cmocka_unit_test(table_has_every_rule),
        cmocka_unit_test(diagrams_have_an_edge_for_every_rule),
        cmocka_unit_test(all_machines_make_one_diagram),
        cmocka_unit_test(bad_usage_names_what_there_is),
        cmocka_unit_test(lost_output_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
