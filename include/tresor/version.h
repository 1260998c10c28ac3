/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_VERSION_H
#define TRESOR_VERSION_H

#if defined(__GNUC__) || defined(__clang__)
#define TRESOR_API __attribute__((visibility("default")))
#else
#define TRESOR_API
#endif

/** The version of these headers. */
#define TRESOR_VERSION_MAJOR 0
#define TRESOR_VERSION_MINOR 1
#define TRESOR_VERSION_PATCH 0

#ifdef __cplusplus
extern "C" {
#endif

/** The version of the library in use, "major.minor.patch". Static text; any thread. */
TRESOR_API const char *tresor_version(void);

#ifdef __cplusplus
}
#endif

#endif
