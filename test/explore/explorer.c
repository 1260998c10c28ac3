/* SPDX-License-Identifier: MIT */
#include "explorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "core/handle.h"

enum {
    CHOICES_MAX = 256, /* from one state */
    PATH_MAX_LENGTH = 4096,
    DRAIN_STEPS_MAX = 4000,
};

enum choice_kind {
    CHOICE_ANSWER,  /* effect `a` becomes `b` */
    CHOICE_DO,      /* letter `a` of the alphabet */
    CHOICE_CANCEL,  /* request `a` */
    CHOICE_ACQUIRE, /* piece `a` */
    CHOICE_RELEASE,
    CHOICE_RETURN,  /* chunk `a` */
    CHOICE_TAKE,    /* an event */
    CHOICE_TURN,    /* one turn */
    CHOICE_DISPATCH,
    CHOICE_FAULT, /* in page `a` */
};

struct choice {
    uint8_t kind;
    uint8_t a;
    uint8_t b;
};

struct node {
    uint64_t identity;
    struct arena_state *state; /* NULL once it was explored */
    uint32_t parent;
    struct choice choice; /* that led here from there */
};

/* Of identities; 0 is none. */
struct set {
    uint64_t *places;
    uint64_t size; /* a power of two */
    uint64_t count;
};

static const struct world_spec *spec;
static struct node *nodes;
static uint32_t node_count;
static uint32_t node_capacity;
static struct set known;
static struct set drained;
static uint32_t *queues[2]; /* those first whose way here took a row that none had taken */
static uint32_t heads[2];
static uint32_t tails[2];

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* --- sets --- */

static void set_make(struct set *set)
{
    *set = (struct set){.size = 1024};
    set->places = must(calloc(set->size, sizeof *set->places));
}

static bool set_put(struct set *set, uint64_t identity)
{
    uint64_t place = identity & (set->size - 1);
    while (set->places[place] != 0 && set->places[place] != identity)
        place = (place + 1) & (set->size - 1);
    if (set->places[place] == identity)
        return false;
    set->places[place] = identity;
    set->count++;
    return true;
}

static bool set_add(struct set *set, uint64_t identity)
{
    if (2 * set->count >= set->size) {
        struct set larger = {.size = 2 * set->size};
        larger.places = must(calloc(larger.size, sizeof *larger.places));
        for (uint64_t i = 0; i < set->size; i++)
            if (set->places[i] != 0)
                set_put(&larger, set->places[i]);
        free(set->places);
        *set = larger;
    }
    return set_put(set, identity | 1);
}

/* --- choices --- */

struct choices {
    struct choice list[CHOICES_MAX];
    uint32_t count;
};

static void add(struct choices *choices, uint8_t kind, uint32_t a, uint32_t b)
{
    if (choices->count == CHOICES_MAX) {
        world_violate("more choices than there is room for");
        return;
    }
    choices->list[choices->count++] = (struct choice){kind, (uint8_t)a, (uint8_t)b};
}

static void add_answers(struct choices *choices)
{
    uint8_t outcomes[WORLD_OUTCOMES];
    for (uint32_t i = 0; i < world->in_flight_count; i++) {
        uint32_t count = world_outcomes(&world->in_flight[i], outcomes);
        for (uint32_t k = 0; k < count; k++)
            add(choices, CHOICE_ANSWER, i, outcomes[k]);
    }
}

static bool may_do(const struct op *op)
{
    const struct host *host = &world->host;
    bool is_request = op->kind != OP_SEEK && op->kind != OP_SPLIT && op->kind != OP_WATCH &&
                      op->kind != OP_UNWATCH && op->kind != OP_UNGUARD;
    if (is_request && host->live >= spec->live_max)
        return false;
    return op->kind == OP_OPEN || op->kind == OP_WATCH || op->kind == OP_UNWATCH ||
           op->kind == OP_UNGUARD || host->is_open;
}

static void add_host(struct choices *choices)
{
    const struct host *host = &world->host;
    for (uint32_t i = 0; spec->ops[i].kind != OP_END; i++)
        if (may_do(&spec->ops[i]))
            add(choices, CHOICE_DO, i, 0);
    for (uint32_t i = 0; !spec->no_cancel && i < host->live; i++)
        if (!host->requests[i].is_cancelled && host->requests[i].verb != TRESOR_VERB_CLOSE)
            add(choices, CHOICE_CANCEL, i, 0);
    for (uint32_t i = 0; i < host_pieces(); i++) {
        if (host_pins() < spec->pins_max)
            add(choices, CHOICE_ACQUIRE, i, 0);
        if (host->pins[i] > 0)
            add(choices, CHOICE_RELEASE, i, 0);
    }
    for (uint32_t i = 0; i < host->chunk_count; i++)
        add(choices, CHOICE_RETURN, i, 0);
    for (uint32_t i = 0; i < WORLD_PAGES; i++)
        if (world_may_fault(i))
            add(choices, CHOICE_FAULT, i, 0);
}

static void list_choices(struct choices *choices)
{
    const struct tresor__controller *controller = &world->context->controller;
    choices->count = 0;
    add_answers(choices);
    add_host(choices);
    if (spec->takes_late && controller->events.head != TRESOR_NONE)
        add(choices, CHOICE_TAKE, 0, 0);
    if (!spec->turns_singly)
        return;
    bool is_due = tresor__controller_is_due(controller) || tresor__guard_is_hit(&controller->alarm);
    if (is_due)
        add(choices, CHOICE_TURN, 0, 0);
    if (is_due || controller->effect_count > 0)
        add(choices, CHOICE_DISPATCH, 0, 0);
}

/* What is asked for and refused leaves no trace. */
static void do_letter(uint8_t letter)
{
    uint64_t before = identity_of_state();
    if (!host_do(&spec->ops[letter]) && identity_of_state() != before)
        world_violate("letter %u was refused, and has left a trace", letter);
}

/* Where turns are given singly, several answers may come before any of them. */
static void answer(uint8_t effect, uint8_t outcome)
{
    world_answer(effect, outcome);
    if (!spec->turns_singly || !world->is_staged)
        return;
    world->is_staged = false;
    tresor__controller_deliver(&world->context->controller, &world->staged);
    world_take_watch_effects();
}

static void apply(struct choice choice)
{
    switch ((enum choice_kind)choice.kind) {
    case CHOICE_ANSWER:
        answer(choice.a, choice.b);
        break;
    case CHOICE_DO:
        do_letter(choice.a);
        break;
    case CHOICE_CANCEL:
        host_cancel(choice.a);
        break;
    case CHOICE_ACQUIRE:
        host_acquire(choice.a);
        break;
    case CHOICE_RELEASE:
        host_release(choice.a);
        break;
    case CHOICE_RETURN:
        host_return_chunk(choice.a);
        break;
    case CHOICE_TAKE:
        host_take_event();
        break;
    case CHOICE_FAULT:
        world_fault(choice.a);
        break;
    case CHOICE_TURN:
        tresor__controller_run(&world->context->controller, 1);
        break;
    case CHOICE_DISPATCH:
        break;
    }
    if (!spec->turns_singly || choice.kind == CHOICE_DISPATCH)
        host_settle(!spec->takes_late);
}

/* --- paths --- */

static uint32_t path[PATH_MAX_LENGTH];

static uint32_t path_to(uint32_t number)
{
    uint32_t length = 0;
    for (uint32_t at = number; at != 0 && length < PATH_MAX_LENGTH; at = nodes[at].parent)
        path[length++] = at;
    return length;
}

static const char *op_name(uint8_t kind)
{
    static const char *const names[] = {"",       "LOAD",   "EVICT", "LOCK",  "UNLOCK", "SWAP",
                                        "ADVISE", "COPY",   "STREAM", "BUDGET", "PLAN",  "SEEK",
                                        "OPEN",   "CLOSE",  "SPLIT", "WATCH", "UNWATCH", "CHECK", "UNGUARD",
                                        "PROMISE", "DIGEST"};
    return names[kind];
}

static void print_choice(struct choice choice)
{
    const struct op *op = &spec->ops[choice.a];
    const struct tresor__effect *effect = &world->in_flight[choice.a];
    switch ((enum choice_kind)choice.kind) {
    case CHOICE_ANSWER:
        printf("#   %s of machine %u, slot %u, flags %u, [%ju, +%ju): %s\n",
               tresor__effect_name(effect->kind), effect->machine, effect->slot, effect->flags,
               (uintmax_t)effect->offset, (uintmax_t)effect->length,
               world_outcome_name(choice.b));
        break;
    case CHOICE_DO:
        printf("#   %s of pieces %x, strategy %u, flags %u, urgency %u, argument %u\n",
               op_name(op->kind), op->pieces, op->strategy, op->flags, op->urgency, op->argument);
        break;
    case CHOICE_CANCEL:
        printf("#   cancel %s\n", tresor_verb_name(world->host.requests[choice.a].verb));
        break;
    case CHOICE_ACQUIRE:
    case CHOICE_RELEASE:
        printf("#   %s piece %u\n", choice.kind == CHOICE_ACQUIRE ? "acquire" : "release", choice.a);
        break;
    default:
        printf("#   %s\n", choice.kind == CHOICE_RETURN ? "give a chunk back"
                           : choice.kind == CHOICE_FAULT ? "a fault"
                           : choice.kind == CHOICE_TAKE ? "take an event"
                           : choice.kind == CHOICE_TURN ? "a turn"
                                                        : "dispatch");
        break;
    }
}

/* By going there again. */
static void print_path(uint32_t number, const struct choice *last)
{
    uint32_t length = path_to(number);
    printf("# %s:\n", spec->name);
    arena_restore_first();
    while (length-- > 0) {
        print_choice(nodes[path[length]].choice);
        apply(nodes[path[length]].choice);
    }
    print_choice(*last);
}

static uint32_t current;
static struct choice current_choice;

static char *put_number(char *text, uint32_t number)
{
    char digits[12];
    uint32_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0)
        *text++ = digits[--count];
    *text++ = ' ';
    return text;
}

static void tell_choice(struct choice choice)
{
    char text[48] = "#   choice ";
    char *end = text + strlen(text);
    end = put_number(end, choice.kind);
    end = put_number(end, choice.a);
    end = put_number(end, choice.b);
    *end++ = '\n';
    ssize_t written = write(STDOUT_FILENO, text, (size_t)(end - text));
    (void)written;
}

void explorer_tell_path(void)
{
    if (!spec || !nodes)
        return;
    uint32_t length = path_to(current);
    ssize_t written = write(STDOUT_FILENO, "# ", 2);
    written = write(STDOUT_FILENO, spec->name, strlen(spec->name));
    written = write(STDOUT_FILENO, "\n", 1);
    (void)written;
    while (length-- > 0)
        tell_choice(nodes[path[length]].choice);
    tell_choice(current_choice);
}

/* --- coming to rest --- */

/* Who may go on for ever without anybody's fault: who waits for room that a lock or a plan holds, and plans. */
static bool may_stand(const struct world_request *request)
{
    const struct tresor__request *found =
        &world->context->controller.requests[tresor__handle_slot(request->handle)];
    return request->verb == TRESOR_VERB_PLAN || found->awaits_room;
}

static void cancel_all(void)
{
    for (uint32_t i = 0; i < world->host.live; i++) {
        const struct world_request *request = &world->host.requests[i];
        if (!may_stand(request) && !request->is_cancelled)
            world_violate("%s never ends, though nothing is left to do",
                          tresor_verb_name(request->verb));
        else if (request->is_cancelled)
            world_violate("a cancelled %s never ends", tresor_verb_name(request->verb));
    }
    if (world->host.live > 0)
        host_cancel(0);
}

static bool is_watch(const struct tresor__effect *effect)
{
    return effect->machine == TRESOR__MACHINE_WATCH;
}

static bool is_telling; /* what is done to come to rest */

/* True where something was done that brings the world nearer to rest. */
static bool drain_once(void)
{
    static const struct op close = {.kind = OP_CLOSE};
    struct host *host = &world->host;
    /* The last first, so that whoever came to rely on the one before it shows. */
    for (uint32_t i = world->in_flight_count; i-- > 0;)
        if (!is_watch(&world->in_flight[i])) {
            if (is_telling)
                print_choice((struct choice){CHOICE_ANSWER, (uint8_t)i, OUTCOME_OK});
            world_answer(i, OUTCOME_OK);
            return true;
        }
    if (host->chunk_count > 0) {
        host_return_chunk(0);
        return true;
    }
    for (uint32_t i = 0; i < host_pieces(); i++)
        if (host->pins[i] > 0) {
            host_release(i);
            return true;
        }
    if (host->live > 0) {
        cancel_all();
        return true;
    }
    if (!check_is_at_rest())
        world_violate("nothing is left to do, and it is not at rest");
    check_idle();
    return host->is_open && !world->violation[0] && host_do(&close);
}

/* Where another way came by before, the rest is known. */
static void drain(void)
{
    host_settle(true);
    for (uint32_t i = 0; !world->violation[0] && set_add(&drained, identity_of_state()); i++) {
        if (i == DRAIN_STEPS_MAX)
            world_violate("it does not come to rest");
        if (!drain_once())
            break;
        host_settle(true);
        if (!world->violation[0])
            check_state();
    }
}

/* --- exploring --- */

static uint32_t add_node(uint64_t identity, uint32_t parent, struct choice choice)
{
    if (node_count == node_capacity) {
        node_capacity = node_capacity > 0 ? 2 * node_capacity : 1024;
        nodes = must(realloc(nodes, node_capacity * sizeof *nodes));
        for (uint32_t i = 0; i < 2; i++)
            queues[i] = must(realloc(queues[i], node_capacity * sizeof *queues[i]));
    }
    nodes[node_count] = (struct node){.identity = identity, .parent = parent, .choice = choice};
    nodes[node_count].state = must(arena_keep());
    uint32_t queue = world_took_new ? 0 : 1;
    queues[queue][tails[queue]++] = node_count;
    return node_count++;
}

/* What is wrong may only show on the way to rest. */
static void tell_drain(void)
{
    is_telling = true;
    host_settle(true);
    printf("#   and to come to rest:\n");
    for (uint32_t i = 0; i < DRAIN_STEPS_MAX && !world->violation[0] && drain_once(); i++) {
        host_settle(true);
        check_state();
    }
    is_telling = false;
}

static void fail(struct explored *explored, uint32_t parent, const struct choice *choice)
{
    memcpy(explored->violation, world->violation, sizeof explored->violation);
    print_path(parent, choice);
    apply(*choice);
    check_state();
    if (!world->violation[0])
        tell_drain();
    printf("# %s\n", explored->violation);
}

/* What is new is looked at, kept, and led to rest. False where something is wrong. */
static bool look(struct explored *explored, uint32_t parent, struct choice choice)
{
    if (!world->violation[0])
        check_state();
    uint64_t identity = identity_of_state();
    if (!world->violation[0] && set_add(&known, identity)) {
        add_node(identity, parent, choice);
        drain();
    }
    if (!world->violation[0])
        return true;
    fail(explored, parent, &choice);
    return false;
}

static bool expand(struct explored *explored, uint32_t number)
{
    struct choices choices;
    struct arena_state *state = nodes[number].state;
    bool is_good = true;
    arena_restore(state);
    list_choices(&choices);
    for (uint32_t i = 0; is_good && i < choices.count; i++) {
        arena_restore(state);
        current = number;
        current_choice = choices.list[i];
        world_took_new = false;
        apply(choices.list[i]);
        explored->edges++;
        is_good = look(explored, number, choices.list[i]);
    }
    free(state);
    nodes[number].state = NULL;
    return is_good;
}

static void start(const struct world_spec *given)
{
    spec = given;
    node_count = 0;
    memset(heads, 0, sizeof heads);
    memset(tails, 0, sizeof tails);
    set_make(&known);
    set_make(&drained);
    world_begin(spec);
}

static void finish(void)
{
    for (uint32_t i = 0; i < node_count; i++)
        free(nodes[i].state);
    free(nodes);
    nodes = NULL;
    node_count = node_capacity = 0;
    for (uint32_t i = 0; i < 2; i++) {
        free(queues[i]);
        queues[i] = NULL;
    }
    free(known.places);
    free(drained.places);
    world_end();
}

struct explored explorer_run(const struct world_spec *given, uint64_t states_max)
{
    struct explored explored = {0};
    start(given);
    world_took_new = false;
    current = 0;
    bool is_good = look(&explored, 0, (struct choice){CHOICE_DISPATCH, 0, 0});
    while (is_good && explored.states < states_max) {
        uint32_t queue = heads[0] < tails[0] ? 0 : 1;
        if (heads[queue] == tails[queue])
            break;
        is_good = expand(&explored, queues[queue][heads[queue]++]);
        explored.states++;
    }
    explored.is_whole = heads[0] == tails[0] && heads[1] == tails[1];
    explored.drained = drained.count;
    printf("# %s: %ju states explored, %ju edges, %u states seen, %ju on the ways to rest%s\n",
           spec->name, (uintmax_t)explored.states, (uintmax_t)explored.edges, node_count,
           (uintmax_t)explored.drained, explored.is_whole ? ", all there are" : "");
    fflush(stdout);
    finish();
    return explored;
}
