package org.elasticsearch.plugins;

import java.net.URL;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.elasticsearch.Version;
import org.elasticsearch.action.admin.cluster.node.info.PluginsAndModules;
import org.elasticsearch.env.Environment;
import org.elasticsearch.plugins.spi.SPIClassIterator;

/** Plugins named by class on one flat class path, where an installation has a folder and a class loader for each. */
public final class ClasspathPlugins extends PluginsService {

    private final List<LoadedPlugin> loaded;

    public ClasspathPlugins(Environment environment, PluginsLoader none, List<String> classNames) {
        super(environment.settings(), environment.configDir(), none);
        loaded = classNames.stream().map(name -> load(name, environment)).toList();
        ExtensiblePlugin.ExtensionLoader loader = new ExtensiblePlugin.ExtensionLoader() {
            @Override
            public <T> List<T> loadExtensions(Class<T> kind) {
                return new ArrayList<>(loadServiceProviders(kind));
            }
        };
        for (LoadedPlugin plugin : loaded) {
            if (plugin.instance() instanceof ExtensiblePlugin extensible) {
                extensible.loadExtensions(loader);
            }
        }
    }

    private LoadedPlugin load(String name, Environment environment) {
        try {
            Class<? extends Plugin> kind = Class.forName(name).asSubclass(Plugin.class);
            Plugin plugin = loadPlugin(kind, environment.settings(), environment.configDir());
            return new LoadedPlugin(describe(kind), plugin, kind.getClassLoader());
        } catch (ClassNotFoundException missing) {
            throw new IllegalArgumentException("no plugin " + name + " on the class path", missing);
        }
    }

    private static PluginDescriptor describe(Class<?> kind) {
        String java = Integer.toString(Runtime.version().feature());
        String version = Version.CURRENT.toString();
        return new PluginDescriptor(
            kind.getSimpleName(), "", version, version, java, kind.getName(), null, List.of(), false, false, false, false
        );
    }

    @Override
    protected List<LoadedPlugin> plugins() {
        return loaded;
    }

    @Override
    public PluginsAndModules info() {
        return new PluginsAndModules(loaded.stream().map(plugin -> new PluginRuntimeInfo(plugin.descriptor())).toList(), List.of());
    }

    /**
     * Every provider once, in company of the plugin whose jar it came in. A provider whose plugin is not switched on is
     * made only when it needs no plugin: a jar can be here because another needs its classes.
     */
    @Override
    public <T> List<? extends T> loadServiceProviders(Class<T> service) {
        List<T> providers = new ArrayList<>();
        for (Iterator<Class<? extends T>> kinds = SPIClassIterator.get(service, getClass().getClassLoader()); kinds.hasNext();) {
            Class<? extends T> kind = kinds.next();
            Plugin owner = ownerOf(kind);
            if (owner != null) {
                providers.add(createExtension(kind, service, owner));
                continue;
            }
            try {
                providers.add(kind.getConstructor().newInstance());
            } catch (ReflectiveOperationException needsItsPlugin) {
                continue;
            }
        }
        return providers;
    }

    private Plugin ownerOf(Class<?> kind) {
        return loaded.stream().map(LoadedPlugin::instance).filter(plugin -> jar(plugin.getClass()).equals(jar(kind))).findFirst().orElse(null);
    }

    private static String jar(Class<?> kind) {
        URL location = kind.getProtectionDomain().getCodeSource().getLocation();
        return location.toString();
    }
}
