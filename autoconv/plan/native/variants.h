/* variant.h for every instruction set, element type and number of lanes, and the list of them.
 *
 * On x86 each set is compiled under a target pragma of its own, so the build needs no -march and one binary runs everywhere;
 * other processors get the compiler's generic vectors, and so does a build with -DBASELINE (for sanitizers, which are slow) and
 * one for Windows, where gcc does not align its stack for wider ones.
 * ``registers``: how many vectors the processor can hold.
 */
#if defined(__x86_64__) && !defined(__clang__) && !defined(_WIN32) && !defined(BASELINE)
#define MANY_SETS
#include <cpuid.h>
#endif
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(x) JOIN(x##_, SUFFIX)

#ifdef MANY_SETS
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
#define SET v4
#define BYTES 64
#include "types.h"
#undef BYTES
#undef SET
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
#define SET v3
#define BYTES 32
#include "types.h"
#undef BYTES
#undef SET
#pragma GCC pop_options
#endif
#define SET base
#define BYTES 16
#include "types.h"
#undef BYTES
#undef SET

#define ENTRY(set, type, lanes, registers) {#set, sizeof(type), lanes, registers, block_##set##_##type##lanes, pack_##set##_##type##lanes, collect_##set##_##type##lanes, update_##set##_##type##lanes}
static const Variant all_variants[] = {
#ifdef MANY_SETS
    ENTRY(v4, float, 16, 32), ENTRY(v4, float, 8, 32), ENTRY(v4, float, 4, 32), ENTRY(v4, double, 8, 32), ENTRY(v4, double, 4, 32), ENTRY(v4, double, 2, 32),
    ENTRY(v3, float, 8, 16), ENTRY(v3, float, 4, 16), ENTRY(v3, double, 4, 16), ENTRY(v3, double, 2, 16),
#endif
    ENTRY(base, float, 4, 16), ENTRY(base, double, 2, 16), {0}};

static int supported(const char *set) {
#ifdef MANY_SETS
  const char *most = getenv("AUTOCONV_INSTRUCTIONS"); /* "v3" or "base" leaves the wider sets alone, for tests and comparisons */
  int level = most && !strcmp(most, "base") ? 0 : most && !strcmp(most, "v3") ? 1 : 2;
  if (!strcmp(set, "v4")) return level > 1 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2");
  if (!strcmp(set, "v3")) return level > 0 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
#endif
  return !strcmp(set, "base");
}
/* Whether the processor takes a vector of 64 bytes in two halves, so that it is no faster than two of 32: by the makers' models, and
 * not measured, since the choice that hangs on it decides how sums are rounded. */
static int in_halves(void) {
#ifdef MANY_SETS
  unsigned a, b, c, d, vendor;
  if (!__get_cpuid(0, &a, &vendor, &c, &d) || !__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const unsigned family = ((a >> 8) & 15) + ((a >> 8 & 15) == 15 ? (a >> 20) & 255 : 0), model = ((a >> 4) & 15) | ((a >> 12) & 240);
  if (vendor == signature_AMD_ebx) /* Zen 4; of Zen 5 those for notebooks */
    return family == 0x19 || (family == 0x1a && (model >> 4 == 2 || model >> 4 == 6));
  if (vendor == signature_INTEL_ebx) /* Cannon, Ice, Tiger and Rocket Lake, which are no servers */
    return family == 6 && (model == 0x66 || model == 0x7d || model == 0x7e || model == 0x8c || model == 0x8d || model == 0xa7);
#endif
  return 0;
}
static const Variant *find_variant(int bytes, int lanes) {
  for (const Variant *k = all_variants; k->set; k++)
    if (k->bytes == bytes && k->lanes == lanes && supported(k->set)) return k;
  return 0;
}
