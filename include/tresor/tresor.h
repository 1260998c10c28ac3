/* SPDX-License-Identifier: MIT */
/* All public headers. */
#ifndef TRESOR_TRESOR_H
#define TRESOR_TRESOR_H

#include <tresor/allocator.h>
#include <tresor/backend.h>
#include <tresor/budget.h>
#include <tresor/choice.h>
#include <tresor/context.h>
#include <tresor/digest.h>
#include <tresor/error.h>
#include <tresor/event.h>
#include <tresor/guard.h>
#include <tresor/handle.h>
#include <tresor/numa.h>
#include <tresor/observe.h>
#include <tresor/plan.h>
#include <tresor/pressure.h>
#include <tresor/residency.h>
#include <tresor/slice.h>
#include <tresor/source.h>
#include <tresor/strategy.h>
#include <tresor/tensor.h>
#include <tresor/version.h>

#endif
