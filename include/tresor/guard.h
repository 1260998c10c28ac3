/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_GUARD_H
#define TRESOR_GUARD_H

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What becomes of a fault in the memory of loaded tensors, by the option `guard`: a page of a file that became shorter since
 * it was loaded, or that its disk cannot read again.
 *
 * Without a guard the system sends SIGBUS to the thread that touches such a page, which ends the process unless the host has a
 * handler. What there is without one: a load by mmap brings every page and finds out what the file has not got, so that is
 * TRUNCATED before anybody touches it; tresor_source_check asks at any time whether the files are still what was opened; and
 * what is loaded by reading has memory of its own, which no change of a file reaches.
 *
 * With TRESOR_GUARD_SIGBUS there is a handler of SIGBUS while any context of the process has asked for it. The page is mapped
 * over with zeros and the thread goes on. The tensors that have bytes in it are poisoned: a POISONED event names each, with
 * its file and the first byte that was lost; tresor_release of who has acquired one answers POISONED, from before the zeros can
 * be seen on; and tresor_acquire of it does until it was evicted. A LOAD of it evicts it and loads it anew once it has no
 * users; a page that neighbours share is put right when all of them were evicted. One that is being loaded fails, with
 * TRUNCATED or IO.
 *
 * A fault anywhere else goes to the handler that was there before, with the signal mask that it would have had, or ends the
 * process as without a guard. The handler runs on the thread's alternate stack, if it has one. It is taken away with the last
 * context, but not where the host has put another over it; one that does so should pass on what is not its own. Where that was
 * done four times, and those are still in place, making a context is BUSY.
 *
 * No guard sees what makes no fault: a page in which a file ends has zeros behind the end, so the last bytes of what a shorter
 * file still begins are lost silently until a page behind them is touched. And what is written into a file in place is in its
 * mapping at once. tresor_source_check finds both.
 */
enum tresor_guard {
    TRESOR_GUARD_DEFAULT = 0, /**< none */
    TRESOR_GUARD_SIGBUS = 1,
};

#ifdef __cplusplus
}
#endif

#endif
