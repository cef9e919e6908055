package org.elasticsearch.plugins;

import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;

import org.elasticsearch.Version;
import org.elasticsearch.action.admin.cluster.node.info.PluginsAndModules;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.spi.SPIClassIterator;

/** Plugins taken from the class path as classes, where the distribution has a folder and a class loader for each. */
public final class ClassPathPlugins extends PluginsService {
    private final List<LoadedPlugin> loaded;

    public ClassPathPlugins(Environment environment, PluginsLoader none, List<Class<? extends Plugin>> classes) {
        super(environment.settings(), environment.configDir(), none);
        loaded = new ArrayList<>(classes.size());
        for (Class<? extends Plugin> type : classes) {
            Plugin plugin = loadPlugin(type, environment.settings(), environment.configDir());
            loaded.add(new LoadedPlugin(describe(type), plugin, type.getClassLoader()));
        }
    }

    private static PluginDescriptor describe(Class<?> type) {
        String java = Integer.toString(Runtime.version().feature());
        String elasticsearch = Version.CURRENT.toString();
        List<String> extended = List.of();
        return new PluginDescriptor(type.getSimpleName(), type.getName(), elasticsearch, elasticsearch, java,
            type.getName(), null, extended, false, false, false, false);
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return loaded;
    }

    @Override
    public PluginsAndModules info() {
        return new PluginsAndModules(loaded.stream().map(p -> new PluginRuntimeInfo(p.descriptor())).toList(), List.of());
    }

    /**
     * The providers that the class path declares for {@code service}. One of a plugin's own jar is made with that
     * plugin at hand; one of the server's jars takes nothing.
     */
    @Override
    public <T> List<? extends T> loadServiceProviders(Class<T> service) {
        List<T> providers = new ArrayList<>();
        for (Iterator<Class<? extends T>> found = SPIClassIterator.get(service, getClass().getClassLoader()); found.hasNext();) {
            Class<? extends T> type = found.next();
            Plugin owner = ownerOf(type);
            providers.add(owner == null ? make(type) : createExtension(type, service, owner));
        }
        return providers;
    }

    private static <T> T make(Class<T> type) {
        try {
            return type.getConstructor().newInstance();
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot make " + type.getName(), e);
        }
    }

    private Plugin ownerOf(Class<?> type) {
        for (LoadedPlugin plugin : loaded) {
            if (Objects.equals(jarOf(plugin.instance().getClass()), jarOf(type))) {
                return plugin.instance();
            }
        }
        return null;
    }

    private static java.net.URL jarOf(Class<?> type) {
        CodeSource source = type.getProtectionDomain().getCodeSource();
        return source == null ? null : source.getLocation();
    }
}
